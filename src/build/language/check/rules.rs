//! The rules and their words, which are Docker's (reference, Build checks).

/// What a rule says of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The rule.
    pub(super) rule: &'static str,
    /// What the rule is about.
    pub(super) description: &'static str,
    /// What is wrong here.
    pub(super) message: String,
    /// Whether the rule has to be asked for.
    pub(super) experimental: bool,
}

/// Functions that each make a finding: arguments, rule, description, message.
macro_rules! rules {
    ($($name:ident($($argument:ident: $type:ty),*) $rule:literal, $description:literal, $message:literal;)+) => {
        $(
            pub(super) fn $name($($argument: $type),*) -> Finding {
                Finding {
                    rule: $rule,
                    description: $description,
                    message: format!($message),
                    experimental: EXPERIMENTAL.contains(&$rule),
                }
            }
        )+
        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$($rule),+];
    };
}

const EXPERIMENTAL: [&str; 1] = ["InvalidDefinitionDescription"];

rules! {
    stage_name_casing(name: &str) "StageNameCasing",
        "Stage names should be lowercase",
        "Stage name '{name}' should be lowercase";
    from_as_casing(from: &str, between: &str) "FromAsCasing",
        "The 'as' keyword should match the case of the 'from' keyword",
        "'{between}' and '{from}' keywords' casing do not match";
    no_empty_continuation() "NoEmptyContinuation",
        "Empty continuation lines will become errors in a future release",
        "Empty continuation line";
    consistent_instruction_casing(keyword: &str, casing: &str) "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
        "Command '{keyword}' should match the case of the command majority ({casing})";
    duplicate_stage_name(name: &str) "DuplicateStageName",
        "Stage names should be unique",
        "Duplicate stage name {name:?}, stage names should be unique";
    reserved_stage_name(name: &str) "ReservedStageName",
        "Reserved words should not be used as stage names",
        "Stage name should not use the same name as reserved stage {name:?}";
    json_args_recommended(keyword: &str) "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        "JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals";
    maintainer_deprecated() "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        "Maintainer instruction is deprecated in favor of using label";
    undefined_arg_in_from(name: &str, meant: &str) "UndefinedArgInFrom",
        "FROM command must use declared ARGs",
        "FROM argument '{name}' is not declared{meant}";
    workdir_relative_path(path: &str) "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
        "Relative workdir {path:?} can have unexpected results if the base image changes";
    undefined_var(name: &str, meant: &str) "UndefinedVar",
        "Variables should be defined before their use",
        "Usage of undefined variable '${name}'{meant}";
    multiple_instructions_disallowed(keyword: &str) "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
        "Multiple {keyword} instructions should not be used in the same stage because only the last one will be used";
    legacy_key_value_format(keyword: &str) "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
        "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format";
    redundant_target_platform(platform: &str) "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior";
    secrets_used_in_arg_or_env(keyword: &str, name: &str) "SecretsUsedInArgOrEnv",
        "Sensitive data should not be used in the ARG or ENV commands",
        "Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})";
    invalid_default_arg_in_from(base: &str) "InvalidDefaultArgInFrom",
        "Default value for global ARG results in an empty or invalid base image name",
        "Default value for ARG {base} results in empty or invalid base image name";
    from_platform_flag_const_disallowed(platform: &str) "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
        "FROM --platform flag should not use constant value {platform:?}";
    copy_ignored_file(verb: &str, file: &str) "CopyIgnoredFile",
        "Attempting to Copy file that is excluded by .dockerignore",
        "Attempting to {verb} file {file:?} that is excluded by .dockerignore";
    invalid_definition_description(keyword: &str, name: &str) "InvalidDefinitionDescription",
        "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
        "Comment for {keyword} should follow the format: `# {name} <description>`";
    expose_proto_casing(port: &str) "ExposeProtoCasing",
        "Protocol in EXPOSE instruction should be lowercase",
        "Defined protocol '{port}' in EXPOSE instruction should be lowercase";
    expose_invalid_format(port: &str) "ExposeInvalidFormat",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
        "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rules_of_the_reference_are_there() {
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "ConsistentInstructionCasing",
                "CopyIgnoredFile",
                "DuplicateStageName",
                "ExposeInvalidFormat",
                "ExposeProtoCasing",
                "FromAsCasing",
                "FromPlatformFlagConstDisallowed",
                "InvalidDefaultArgInFrom",
                "InvalidDefinitionDescription",
                "JSONArgsRecommended",
                "LegacyKeyValueFormat",
                "MaintainerDeprecated",
                "MultipleInstructionsDisallowed",
                "NoEmptyContinuation",
                "RedundantTargetPlatform",
                "ReservedStageName",
                "SecretsUsedInArgOrEnv",
                "StageNameCasing",
                "UndefinedArgInFrom",
                "UndefinedVar",
                "WorkdirRelativePath",
            ]
        );
        assert!(
            invalid_definition_description("ARG", "a").experimental && !no_empty_continuation().experimental
        );
    }
}
