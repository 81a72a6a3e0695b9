use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn data() -> Value {
    json!({
        "ID": "1234567890abcdef",
        "Names": "web,db",
        "Count": 42,
        "Half": 0.5,
        "Since": "2026-01-02T03:04:05Z",
        "Running": true,
        "Empty": "",
        "Nothing": null,
        "List": ["a", "b", "c"],
        "None": [],
        "Labels": {"z": "last", "com.example.tier": "front"},
        "State": {"Status": "running", "Pid": 7, "Health": null},
        "Mounts": [{"Source": "/a", "RW": true}, {"Source": "/b", "RW": false}],
        "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "53/udp": null}},
    })
}

/// Template and what it gives.
const GIVES: &[(&str, &str)] = &[
    ("", ""),
    ("plain", "plain"),
    ("{{.ID}}", "1234567890abcdef"),
    ("a{{ .State.Status }}b", "arunningb"),
    ("{{.Count}} {{.Half}} {{.Running}}", "42 0.5 true"),
    ("{{.List}} {{.None}} {{.State.Health}}", "[a b c] [] <nil>"),
    ("{{.Labels}}", "map[com.example.tier:front z:last]"),
    // Structs, in the order of their fields.
    ("{{.State}} {{.Mounts}}", "{running 7 <nil>} [{/a true} {/b false}]"),
    ("{{.NetworkSettings.Ports}}", "map[53/udp:<nil> 80/tcp:[{ 8080}]]"),
    (r"{{.Count}}\t{{.Count}}\n", "42\t42\n"),
    (r#"{{"a\tb\n\"\\\x41\u00e9"}}"#, "a\tb\n\"\\A\u{e9}"),
    ("{{`raw\\t`}}", "raw\\t"),
    ("{{'a'}} {{-3}} {{+4}} {{1.5}} {{0x10}} {{1_000}} {{2e3}}", "97 -3 4 1.5 16 1000 2000"),
    // White space and comments.
    ("a  {{- 1 -}}  b", "a1b"),
    ("a {{- /* note */ -}} b", "ab"),
    ("a {{/* note */}} b", "a  b"),
    ("{{-1}}", "-1"),
    ("x\n{{- if true }}\ny\n{{- end }}\n", "x\ny\n"),
    // Times.
    ("{{.Since.Unix}} {{.Since.Format \"2006-01-02\"}}", "1767323045 2026-01-02"),
    ("{{.Since.UTC.Year}} {{.Since}}", "2026 2026-01-02T03:04:05Z"),
    // Maps and what they lack.
    ("{{.Labels.z}}", "last"),
    ("{{.Labels.none}}", "<no value>"),
    ("{{.Labels.none.deeper}}", "<no value>"),
    ("{{index .Labels \"com.example.tier\"}}", "front"),
    ("{{index .Labels \"none\"}}", ""),
    ("{{.Label \"com.example.tier\"}}/{{.Label \"none\"}}", "front/"),
    ("{{index .NetworkSettings.Ports \"1/tcp\"}}", "[]"),
    ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080"),
    ("{{index .List 1}} {{index .Mounts 1 \"Source\"}}", "b /b"),
    // Variables.
    ("{{$x := .Count}}{{$x}}", "42"),
    ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}", "1"),
    ("{{with $s := .State}}{{$s.Pid}}{{$.Count}}{{end}}", "742"),
    ("{{if $n := len .List}}{{$n}}{{end}}", "3"),
    ("{{($y := .State).Pid}}", "7"),
    // Control.
    ("{{if .Running}}up{{else}}down{{end}}", "up"),
    ("{{if .Empty}}a{{else if .None}}b{{else if .Nothing}}c{{else}}d{{end}}", "d"),
    ("{{with .Empty}}a{{else with .State}}{{.Pid}}{{end}}", "7"),
    ("{{with .State}}{{.Status}}{{end}}", "running"),
    ("{{range .List}}<{{.}}>{{end}}", "<a><b><c>"),
    ("{{range $i, $e := .List}}{{$i}}{{$e}} {{end}}", "0a 1b 2c "),
    ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "com.example.tier=front;z=last;"),
    ("{{range $e := .List}}{{$e}}{{end}}", "abc"),
    ("{{range .None}}x{{else}}none{{end}}", "none"),
    ("{{range .Nothing}}x{{else}}none{{end}}", "none"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ("{{range .List}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
    ("{{range .List}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"),
    ("{{range .Mounts}}{{if .RW}}{{.Source}}{{end}}{{end}}", "/a"),
    (
        "{{range $p, $c := .NetworkSettings.Ports}}{{$p}}:{{range $c}}{{.HostPort}}{{end}} {{end}}",
        "53/udp: 80/tcp:8080 ",
    ),
    // Functions.
    ("{{json .State}}", r#"{"Status":"running","Pid":7,"Health":null}"#),
    ("{{.Labels | json}}", r#"{"z":"last","com.example.tier":"front"}"#),
    ("{{json .Empty}}{{json .Labels.none}}", "\"\"null"),
    ("{{join .List \"-\"}}", "a-b-c"),
    ("{{split .Names \",\"}} {{index (split .Names \",\") 0}}", "[web db] web"),
    ("{{upper \"aB\"}}{{lower \"aB\"}}{{title \"one two\"}}", "ABabOne Two"),
    ("{{truncate .ID 12}}|{{truncate \"ab\" 5}}", "1234567890ab|ab"),
    ("[{{pad \"x\" 1 2}}{{pad \"\" 1 2}}]", "[ x  ]"),
    ("{{len .List}}{{len .ID}}{{len .Labels}}{{len .Nothing}}", "31620"),
    ("{{slice .ID 0 4}} {{slice .List 1}}", "1234 [b c]"),
    ("{{print 1 2 \"a\" 3}}|{{println \"a\" 1}}", "1 2a3|a 1\n"),
    ("{{urlquery \"a b&c\"}}", "a+b%26c"),
    ("{{eq .Count 42}}{{eq .Count 1 2 42}}{{ne .ID \"x\"}}{{eq .Half 0.5}}", "truetruetruetrue"),
    ("{{lt 1 2}}{{le 2 2}}{{gt \"b\" \"a\"}}{{ge 1 2}}", "truetruetruefalse"),
    ("{{eq .Nothing nil}}{{eq .Labels.none nil}}{{eq .ID nil}}", "truetruefalse"),
    ("{{and .Running .Count}}{{and .Empty .Count}}{{or .Empty .Count}}{{not .Running}}", "4242false"),
    ("{{or .Running .NotThere}}", "true"),
    ("{{if and (eq .State.Status \"running\") (gt .Count 40)}}y{{end}}", "y"),
    ("{{.List | len | printf \"%03d\"}}", "003"),
    ("{{\"a,b\" | printf \"%s\" | upper}}", "A,B"),
    // printf.
    ("{{printf \"%s-%d-%v-%q-%t-%%\" \"a\" 1 .List \"q\\\"\" true}}", "a-1-[a b c]-\"q\\\"\"-true-%"),
    (
        "{{printf \"[%5s|%-5s|%.2s|%05d|%+d|%x|%X|%#x]\" \"ab\" \"ab\" \"abc\" 42 5 255 \"az\" 255}}",
        "[   ab|ab   |ab|00042|+5|ff|617A|0xff]",
    ),
    ("{{printf \"%.2f %5.1f %e %g\" 1.005 2.25 1234.5 0.1}}", "1.00   2.2 1.234500e+03 0.1"),
    (
        "{{printf \"%d\" \"x\"}} {{printf \"%s\"}} {{printf \"a\" 1}}",
        "%!d(string=x) %!s(MISSING) a%!(EXTRA int=1)",
    ),
    ("{{printf \"%c%U%o%b\" 65 65 8 5}}", "AU+004110101"),
    ("{{printf \"%-05d|%05d|% d\" 7 -7 3}}", "7    |-0007| 3"),
    ("{{printf \"%s\" .List}}{{printf \"%!\"}}", "[a b c]%!!(MISSING)"),
    ("{{printf \"%\"}}", "%!(NOVERB)"),
    ("{{printf \"%*d|%-*d|%[2]v %[1]v\" 5 3 4 7}}", "    3|7   |3 5"),
    (
        "{{printf \"%g %g %v\" 1e-7 1e21 2.5}} {{html \"a<'b\"}} {{title \"it's\"}}",
        "1e-07 1e+21 2.5 a&lt;&#39;b It'S",
    ),
];

#[test]
fn templates_give_what_gos_give() {
    let data = data();
    for (source, expected) in GIVES.iter() {
        match render(source, &data) {
            Ok(text) => assert_eq!(&text, expected, "{source}"),
            Err(error) => panic!("{source}: {error}"),
        }
    }
}

/// Template and a part of its refusal.
const REFUSED: &[(&str, &str)] = &[
    ("{{.Nam}}", "line 1 column 3: unknown field .Nam"),
    ("a\n  {{.nope}}", "line 2 column 5: unknown field .nope"),
    ("{{.State.Oops}}", "column 9: unknown field .Oops"),
    ("{{.State.Health.Status}}", "no field .Status in a null value"),
    ("{{.ID.x}}", "no field .x in a string"),
    ("{{", "`}}` is missing"),
    ("{{.ID", "`}}` is missing"),
    ("{{}}", "empty action"),
    ("{{end}}", "without a block"),
    ("{{else}}", "outside of if"),
    ("{{if .ID}}", "if without {{end}}"),
    ("{{if}}x{{end}}", "a value is missing"),
    ("{{if 1}}{{else}}{{else}}{{end}}", "a second {{else}}"),
    ("{{range .ID}}{{end}}", "range cannot walk a string"),
    ("{{break}}", "outside of range"),
    ("{{nope .ID}}", "unknown function \"nope\""),
    ("{{ID}}", "unknown function \"ID\""),
    ("{{$x}}", "unknown variable $x"),
    ("{{if true}}{{$x := 1}}{{end}}{{$x}}", "unknown variable $x"),
    ("{{$x = 1}}", "unknown variable $x"),
    ("{{$a, $b := 1}}", "too many variables"),
    ("{{\"abc}}", "string without an end"),
    ("{{'ab'}}", "one character"),
    ("{{(1}}", "parenthesis without an end"),
    ("{{1)}}", "unexpected `)`"),
    ("{{if .ID = 1}}{{end}}", "unexpected `=`"),
    ("{{1 | 2}}", "only a function"),
    ("{{.ID | }}", "a value is missing"),
    ("{{.ID 1}}", "only a function takes arguments"),
    ("{{index .List 9}}", "out of range"),
    ("{{index .List -1}}", "number from 0 up"),
    ("{{eq 1 \"a\"}}", "cannot compare"),
    ("{{lt true false}}", "cannot order"),
    ("{{len 3}}", "len of a number"),
    ("{{slice .List 2 1}}", "out of range"),
    ("{{join .ID \",\"}}", "join needs a list"),
    ("{{upper 3}}", "needs a string"),
    ("{{template \"x\"}}", "not supported"),
    ("{{/* open }}", "comment without an end"),
    ("{{1x}}", "not a number"),
    ("{{.ID!}}", "unexpected '!'"),
];

#[test]
fn refusals_name_the_place() {
    let data = data();
    for (source, part) in REFUSED {
        match render(source, &data) {
            Ok(text) => panic!("{source} gave {text:?}"),
            Err(error) => assert!(error.message().contains(part), "{source}: {error}"),
        }
    }
}

#[test]
fn unknown_fields_come_with_the_known_ones() {
    let hint = |source: &str| render(source, &data()).unwrap_err().hints().join("\n");
    assert!(hint("{{.State").contains("two pairs of braces: {{.ID}}"));
    assert!(hint("{{.State.Oops}}").contains(".Status .Pid .Health"));
    // docker's spelling and podman's are both taken.
    assert_eq!(
        render("{{.id}} {{.state.STATUS}}", &data()).unwrap(),
        render("{{.ID}} {{.State.Status}}", &data()).unwrap()
    );
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [("{{if 1}}", "{{end}}"), ("{{range 1}}", "{{end}}")] {
        assert!(render(&(open.repeat(5000) + &close.repeat(5000)), &Value::Null).is_err());
    }
    assert!(render(&format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000)), &Value::Null).is_err());
    let chain = "{{if 0}}".to_owned() + &"{{else if 0}}".repeat(500) + "{{else}}x{{end}}";
    assert_eq!(render(&chain, &Value::Null).unwrap(), "x");
}

proptest! {
    #[test]
    fn no_text_panics(source in ".{0,60}") {
        let _ = render(&source, &data());
    }

    #[test]
    fn no_shuffle_of_template_parts_panics(parts in prop::collection::vec(prop::sample::select(vec![
        "{{", "}}", "{{-", "-}}", " ", "if", "else", "end", "range", "with", "break", ".", ".ID", ".List",
        "$", "$x", ":=", "=", "|", "(", ")", ",", "\"s\"", "'c'", "1", "-2", "1.5", "index", "slice", "printf",
        "\"%5.2s %d\"", "eq", "len", "and", "json", "join", "pad", "truncate", "/*", "*/", "\\t", "é", "`",
    ]), 0..24)) {
        let _ = render(&parts.concat(), &data());
    }

    #[test]
    fn no_printf_format_panics(format in ".{0,20}", number in any::<i64>(), real in any::<f64>()) {
        let data = json!({"F": format, "N": number, "R": real, "S": "é\u{1}"});
        let _ = render("{{printf .F .N .R .S}}", &data);
    }
}
