//! The build checks, rule by rule.

use super::*;
use std::collections::BTreeMap;

/// The findings as `line rule message`.
fn findings(text: &str) -> Vec<String> {
    with(text, &BTreeMap::new(), None)
}

fn with(text: &str, args: &BTreeMap<String, String>, ignored: Option<&dyn Fn(&str) -> bool>) -> Vec<String> {
    let predefined =
        [("TARGETPLATFORM", "linux/amd64"), ("BUILDPLATFORM", "linux/amd64"), ("TARGETARCH", "amd64")];
    let predefined = predefined.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let base = |name: &str| {
        let env =
            [("PATH", "/bin"), ("LANG", "C")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        (name == "busybox").then_some(BaseImage { env, shell: false })
    };
    let known = CheckContext { args, predefined: &predefined, base: &base, ignored, stage: &|_| true };
    let found = check(&file(text), &known);
    found.iter().map(|warning| format!("{} {} {}", warning.lines.0, warning.rule, warning.message)).collect()
}

/// A file and what is found in it.
type Case = (&'static str, &'static [&'static str]);

fn hold(cases: &[Case]) {
    for (text, wanted) in cases {
        assert_eq!(findings(text), *wanted, "{text}");
    }
}

#[test]
fn stages_and_case() {
    hold(&[
        ("FROM scratch AS Big", &["1 StageNameCasing Stage name 'Big' should be lowercase"]),
        ("FROM scratch as a", &["1 FromAsCasing 'as' and 'FROM' keywords' casing do not match"]),
        ("from scratch AS a", &["1 FromAsCasing 'AS' and 'from' keywords' casing do not match"]),
        ("from scratch as a\nfrom a", &[]),
        (
            "FROM scratch AS b\nFROM scratch AS b",
            &["2 DuplicateStageName Duplicate stage name \"b\", stage names should be unique"],
        ),
        (
            "FROM scratch AS scratch\nFROM scratch AS context",
            &[
                "1 ReservedStageName Stage name should not use the same name as reserved stage \"scratch\"",
                "2 ReservedStageName Stage name should not use the same name as reserved stage \"context\"",
            ],
        ),
        (
            "FROM scratch\ncopy a /\nCOPY a /",
            &[
                "2 ConsistentInstructionCasing Command 'copy' should match the case of the command majority (uppercase)",
            ],
        ),
        (
            "frOM scratch\nuser a\nuser b",
            &[
                "1 ConsistentInstructionCasing Command 'frOM' should match the case of the command majority (lowercase)",
            ],
        ),
        ("FROM scratch\nRUN <<E\nenv\nE", &[]),
        (
            "FROM scratch\nCOPY a \\\n\n /b\nCOPY a \\\n # c\n /c",
            &["3 NoEmptyContinuation Empty continuation line"],
        ),
    ]);
}

#[test]
fn instructions() {
    hold(&[
        (
            "FROM scratch\nCMD run",
            &[
                "2 JSONArgsRecommended JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
            ],
        ),
        ("FROM scratch AS a\nSHELL [\"/sh\"]\nENTRYPOINT x\nFROM a\nCMD run", &[]),
        (
            "FROM scratch\nMAINTAINER a",
            &["2 MaintainerDeprecated Maintainer instruction is deprecated in favor of using label"],
        ),
        (
            "FROM scratch\nWORKDIR app\nWORKDIR x",
            &[
                "2 WorkdirRelativePath Relative workdir \"app\" can have unexpected results if the base image changes",
            ],
        ),
        ("FROM scratch AS a\nENV D=/d\nWORKDIR $D/a\nFROM a\nWORKDIR sub", &[]),
        ("FROM other\nWORKDIR $HOME", &[]),
        (
            "FROM scratch\nCMD [\"a\"]\nHEALTHCHECK NONE\nCMD [\"b\"]\nCMD [\"c\"]",
            &[
                "2 MultipleInstructionsDisallowed Multiple CMD instructions should not be used in the same stage because only the last one will be used",
                "4 MultipleInstructionsDisallowed Multiple CMD instructions should not be used in the same stage because only the last one will be used",
            ],
        ),
        ("FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]", &[]),
        (
            "FROM scratch\nENV a b\nLABEL c d\nENV e=f",
            &[
                "2 LegacyKeyValueFormat \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
                "3 LegacyKeyValueFormat \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format",
            ],
        ),
        (
            "FROM scratch\nARG API_KEY auth\nENV password=b PUBLIC_KEY=c key_file=d KEYS=e AUTH_VERSION=f",
            &[
                "2 SecretsUsedInArgOrEnv Do not use ARG or ENV instructions for sensitive data (ARG \"API_KEY\")",
                "2 SecretsUsedInArgOrEnv Do not use ARG or ENV instructions for sensitive data (ARG \"auth\")",
                "3 SecretsUsedInArgOrEnv Do not use ARG or ENV instructions for sensitive data (ENV \"password\")",
            ],
        ),
        (
            "FROM scratch\nARG P=1/TCP\nEXPOSE 80/TcP 8080/udp $P",
            &[
                "3 ExposeProtoCasing Defined protocol '1/TCP' in EXPOSE instruction should be lowercase",
                "3 ExposeProtoCasing Defined protocol '80/TcP' in EXPOSE instruction should be lowercase",
            ],
        ),
        (
            "FROM scratch\nEXPOSE 127.0.0.1:80:80 [::1]:8080:8080 5000:5000 8000 :90",
            &[
                "2 ExposeInvalidFormat EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
                "2 ExposeInvalidFormat EXPOSE instruction should not define an IP address or host-port mapping, found '5000:5000'",
                "2 ExposeInvalidFormat EXPOSE instruction should not define an IP address or host-port mapping, found '[::1]:8080:8080'",
            ],
        ),
    ]);
}

#[test]
fn variables() {
    hold(&[
        (
            "FROM busybox\nCOPY $foo .\nARG foo=x\nCOPY $foo .",
            &["2 UndefinedVar Usage of undefined variable '$foo'"],
        ),
        (
            "FROM busybox\nENV PATH=$PAHT:/x",
            &["2 UndefinedVar Usage of undefined variable '$PAHT' (did you mean $PATH?)"],
        ),
        ("FROM busybox\nARG foo\nCOPY x$foo .\nUSER $LANG\nRUN echo $x\nLABEL a='$x' b=\\$x", &[]),
        ("FROM scratch AS a\nARG foo=x\nFROM a\nCOPY $foo .", &[]),
        ("FROM other\nCOPY $foo .", &[]),
        (
            "FROM scratch\nARG a=$b\nENV c=$d d=1\nCOPY <<E <<'F' /\n$e\nE\n$f\nF\nRUN --mount=target=$g x",
            &[
                "2 UndefinedVar Usage of undefined variable '$b'",
                "3 UndefinedVar Usage of undefined variable '$d'",
                "4 UndefinedVar Usage of undefined variable '$e'",
                "9 UndefinedVar Usage of undefined variable '$g'",
            ],
        ),
        (
            "ARG G=1\nFROM scratch\nUSER $G\nARG G\nUSER $G",
            &["3 UndefinedVar Usage of undefined variable '$G'"],
        ),
    ]);
}

#[test]
fn bases() {
    hold(&[
        (
            "ARG tag=1\nFROM busybox:${tag}${version} AS b",
            &["2 UndefinedArgInFrom FROM argument 'version' is not declared"],
        ),
        (
            "FROM --platform=$BULIDPLATFORM scratch",
            &[
                "1 UndefinedArgInFrom FROM argument 'BULIDPLATFORM' is not declared (did you mean BUILDPLATFORM?)",
            ],
        ),
        ("ARG DEBUG\nFROM scra${DEBUG:-tch}\nFROM --platform=$BUILDPLATFORM scratch", &[]),
        (
            "ARG VERSION\nFROM busybox:$VERSION",
            &[
                "2 InvalidDefaultArgInFrom Default value for ARG busybox:$VERSION results in empty or invalid base image name",
            ],
        ),
        ("ARG V=\"\"\nFROM busybox:stable$V", &[]),
        (
            "FROM --platform=${TARGETPLATFORM} scratch",
            &[
                "1 RedundantTargetPlatform Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior",
            ],
        ),
        (
            "FROM --platform=linux/amd64 scratch",
            &[
                "1 FromPlatformFlagConstDisallowed FROM --platform flag should not use constant value \"linux/amd64\"",
            ],
        ),
        (
            "FROM --platform=linux/amd64 scratch AS my_amd64\nFROM --platform=linux/amd64 scratch AS linux",
            &[],
        ),
    ]);
    let args = [("VERSION".to_owned(), "1".to_owned())].into();
    assert_eq!(with("ARG VERSION\nFROM busybox:$VERSION", &args, None).len(), 1, "defaults count");
}

#[test]
fn ignored_files() {
    let ignored = |path: &str| path == "a/b" || path == ".";
    let found = |text: &str| with(text, &BTreeMap::new(), Some(&ignored));
    assert_eq!(
        found("FROM scratch AS x\nCOPY ./a//b c /\nADD /a/b https://a/b /\nCOPY --from=x a/b /\nCOPY . /"),
        [
            "2 CopyIgnoredFile Attempting to Copy file \"a/b\" that is excluded by .dockerignore",
            "3 CopyIgnoredFile Attempting to Add file \"a/b\" that is excluded by .dockerignore",
            "5 CopyIgnoredFile Attempting to Copy file \".\" that is excluded by .dockerignore",
        ]
    );
}

#[test]
fn descriptions_are_checked_if_asked_for() {
    const WRONG: &str = "# syntax=x\nARG a=1\n# a is it\nARG a=1\n# no\nARG a=2\n# no\nARG a b\n\n# no\nFROM scratch AS c\n# no\n\nARG d\n# no\n#\nARG e\n";
    assert!(findings(WRONG).is_empty());
    let wanted = [
        "7 InvalidDefinitionDescription Comment for ARG should follow the format: `# a <description>`",
        "9 InvalidDefinitionDescription Comment for ARG should follow the format: `# <arg_key> <description>`",
        "12 InvalidDefinitionDescription Comment for FROM should follow the format: `# c <description>`",
    ];
    assert_eq!(findings(&format!("# check=experimental=invalidDefinitionDescription\n{WRONG}")), wanted);
    assert_eq!(findings(&format!("# check=skip=all;experimental=all\n{WRONG}")), wanted);
}

#[test]
fn rules_are_switched_off() {
    hold(&[
        ("# check=skip=all\nFROM scratch as A\ncmd x", &[]),
        ("#check=skip=ConsistentInstructionCasing,fromascasing;error=true\nFROM scratch as a\ncopy x y", &[]),
        (
            "# check=skip=JSONArgsRecommended\nFROM scratch as a",
            &["2 FromAsCasing 'as' and 'FROM' keywords' casing do not match"],
        ),
        (
            "FROM scratch\n# check=skip=SecretsUsedInArgOrEnv // known\nENV key=a\nENV key=b",
            &["4 SecretsUsedInArgOrEnv Do not use ARG or ENV instructions for sensitive data (ENV \"key\")"],
        ),
        (
            "FROM scratch\n# check=skip=all\n#\nCMD x",
            &[
                "4 JSONArgsRecommended JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
            ],
        ),
    ]);
    let text = file("FROM scratch as a\nCMD x\nFROM scratch");
    let known = CheckContext {
        args: &BTreeMap::new(),
        predefined: &BTreeMap::new(),
        base: &|_| None,
        ignored: None,
        stage: &|number| number == 1,
    };
    let found = check(&text, &known);
    assert_eq!(found.iter().map(|warning| warning.rule.as_str()).collect::<Vec<_>>(), ["FromAsCasing"]);
    assert_eq!(
        (found[0].lines, found[0].file.as_str(), found[0].excerpt.len()),
        ((1, 1), "Containerfile", 3)
    );
    assert!(text.directives.skip.is_empty());
}
