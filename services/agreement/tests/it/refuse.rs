use convenio_agreement::PackError;
use convenio_agreement::config::WitnessPolicy;
use convenio_log::{SignatureType, VerifierKey};

use crate::fixture::Copy;

/// Loads a broken copy; the error must name file and line.
fn refused(copy: &Copy, file: &str, words: &str) -> PackError {
    let error = copy.load().unwrap_err();
    assert!(error.file.ends_with(file), "{error}");
    assert!(std::path::Path::new(&error.file).exists(), "{error}");
    assert!(error.line.is_some_and(|line| line > 1), "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

/// Line on which `needle` first stands in the copy's file.
fn line_of(copy: &Copy, file: &str, needle: &str) -> u32 {
    let text = std::fs::read_to_string(copy.root().join("agreements/sv-ca").join(file)).unwrap();
    let line = text.lines().position(|line| line.contains(needle)).unwrap() + 1;
    line.try_into().unwrap()
}

fn toml(old: &str, new: &str, words: &str) {
    refused(&Copy::new().toml(old, new), "agreement.toml", words);
}

fn proto(old: &str, new: &str, words: &str) {
    refused(&Copy::new().proto(old, new), "sv_ca.proto", words);
}

#[test]
fn a_broken_proto_names_its_line() {
    let copy = Copy::new().proto("string reason_code = 5 [", "string reason_code = ; [");
    let error = refused(&copy, "sv_ca.proto", "expected");
    assert_eq!(error.line, Some(line_of(&copy, "sv_ca.proto", "string reason_code = ; [")));

    let copy = Copy::new().proto("convenio.type.v1.Place place = 3", "convenio.type.v1.Plaza place = 3");
    let error = refused(&copy, "sv_ca.proto", "Plaza");
    assert_eq!(error.line, Some(line_of(&copy, "sv_ca.proto", "Plaza")));

    let copy = Copy::new().proto("buf/validate/validate.proto", "buf/validate/validat.proto");
    refused(&copy, "sv_ca.proto", "validat.proto");
}

#[test]
fn a_broken_toml_names_its_line_and_key() {
    let copy = Copy::new().toml("governor = \"origin\"", "governor = origin");
    let error = refused(&copy, "agreement.toml", "");
    assert_eq!(error.line, Some(line_of(&copy, "agreement.toml", "governor = origin")));

    let copy = Copy::new().toml("\"order_open\", \"seat_free\"", "\"order_open\", \"seat_fre\"");
    let error = refused(&copy, "agreement.toml", "unknown gate `seat_fre`");
    assert_eq!(error.line, Some(line_of(&copy, "agreement.toml", "seat_fre")));
    assert_eq!(error.key.as_deref(), Some("lifecycle.transitions[2].gates[2]"));
}

#[test]
fn toml_is_closed_and_bounded() {
    toml("minimum_age = 18", "minimum_age = 18\nfee = 3", "unknown field `fee`");
    toml("minimum_age = 18", "minimum_age = 18\nfee_rule = \"none\"", "is of format 1");
    toml("format = 2", "format = 3", "must be 1 to 2");
    toml("minimum_age = 18", "minimum_age = 3", "minimum_age");
    toml("id = \"sv-ca\"", "id = \"sv-cb\"", "its folder");
    toml("role = \"destination\"", "role = \"origin\"", "same role");
    toml("\"POOL\", \"NOMINATED\"", "\"POOL\", \"POOL\"", "named twice");
    toml("[\"public-employment-service\"", "[\"anyone\", \"public-employment-service\"", "anyone");
    let copy = Copy::new();
    let path = copy.root().join("agreements/sv-ca/agreement.toml");
    std::fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
    assert!(copy.load().unwrap_err().problem.contains("larger"));
}

#[test]
fn retention_is_checked() {
    toml("erase_answer_days = 30", "erase_answer_days = 0", "erase_answer_days");
    toml("longest_hold_months = 24", "longest_hold_months = 2400", "longest_hold_months");
    toml("ended = [\"EXPIRED\"", "ended = [\"EXPIERD\"", "no state `EXPIERD`");
    toml("\"audit\", \"litigation\"", "\"audit\", \"audit\"", "named twice");
    toml("\"retention-ended\", ", "", "must hold `retention-ended`");
    toml("minimum_months = 72", "minimum_months = 121", "must not be more than `months`");
    toml("months = 0\n", "months = 0\nminimum_months = 1\n", "keeps the class for ever");
    toml("months = 120\nminimum_months = 72", "months = 1201", "at most 1200");
    toml("[retention.classes.record]\nmonths = 120", "[retention.classes.record]\nyears = 10", "unknown field `years`");
    let copy = Copy::new().toml("[retention.classes.record]\nmonths = 120", "[retention.classes.record]\nmonths = 71");
    let copy = copy.toml("months = 71\nminimum_months = 72", "months = 71");
    let error = refused(&copy, "agreement.toml", "`Nomination` must be kept at least as long");
    assert_eq!(error.line, Some(line_of(&copy, "agreement.toml", "messages = [\"Nomination\"")));
}

#[test]
fn the_witness_policy_is_checked() {
    const NONE: &str = "independent = \"none\"";
    let key = |name: &str, vkey: &str, url: &str| {
        format!(
            "independent = \"required\"\nquorum = 1\n[[witness.keys]]\nname = \"{name}\"\nvkey = \"{vkey}\"\nurl = \"{url}\""
        )
    };
    let vkey = witness_key(7);
    let silent = Copy::new().toml("[witness]\nindependent = \"none\"", "").load().unwrap_err();
    assert!(silent.to_string().contains("missing field `witness`"), "{silent}");
    toml(NONE, "independent = \"some\"", "some");
    toml(NONE, "independent = \"none\"\nquorum = 1", "are for independent");
    toml(NONE, "independent = \"required\"\nquorum = 1", "1 to 16 keys");
    toml(NONE, &key("w", "w+00000000+AAAA", "https://w.example/"), "no verifier key");
    toml(NONE, &key("w", &log_key(7), "https://w.example/"), "cosignature/v1");
    toml(NONE, &key("w", &vkey, "http://w.example/"), "must be https://");
    toml(NONE, &key("W 1", &vkey, "https://w.example/"), "lower-case");
    toml(NONE, &key("w", &vkey, "https://w.example/").replace("quorum = 1", "quorum = 2"), "must be 1 to 1");
    let twice = format!(
        "{}\n[[witness.keys]]\nname = \"v\"\nvkey = \"{vkey}\"\nurl = \"https://v.example/\"",
        key("w", &vkey, "https://w.example/")
    );
    toml(NONE, &twice, "listed twice");
    let pack = Copy::new().toml(NONE, &key("w", &vkey, "https://w.example/")).load().unwrap();
    let WitnessPolicy::Required { quorum: 1, witnesses } = pack.witness_policy() else { panic!("{pack:?}") };
    assert_eq!((witnesses[0].name.as_str(), witnesses[0].url.as_str()), ("w", "https://w.example/"));
    assert_eq!(witnesses[0].key.to_string(), vkey);
}

/// A key that cosigns; `w.example/1` is its name.
fn witness_key(seed: u8) -> String {
    VerifierKey::new("w.example/1", SignatureType::CosignatureV1, [seed; 32]).unwrap().to_string()
}

/// A key that signs logs.
fn log_key(seed: u8) -> String {
    VerifierKey::new("w.example/1", SignatureType::Ed25519, [seed; 32]).unwrap().to_string()
}

#[test]
fn the_lifecycle_is_checked() {
    toml("stage = \"NOMINATED\"", "stage = \"NAMED\"", "no stage `NAMED`");
    toml("needs_stage = \"OFFERED\"", "needs_stage = \"OFERED\"", "no stage `OFERED`");
    toml("to = \"EXPIRED\"", "to = \"LOST\"", "no state `LOST`");
    toml("to = \"EXPIRED\"", "to = \"REJECTED\"", "`EXPIRED` cannot be reached");
    toml("messages = [\"Expiry\"]", "messages = [\"Decline\"]", "already leads another act");
    toml("messages = [\"Expiry\"]", "messages = [\"Expired\"]", "no message `Expired`");
    toml("messages = [\"Expiry\"]", "messages = [\"JobOrderData\"]", "no message `JobOrderData`");
    toml("messages = [\"Expiry\"]", "messages = []", "may only precede");
    toml("frees_seat = [\"withdrawn\"]", "frees_seat = [\"left\"]", "no fact `left`");
    toml("[\"withdrawn\", \"admitted\"]", "[\"withdrawn\", \"left\"]", "no fact `left`");
    toml("name = \"offer\"", "name = \"decline\"", "named twice");
}

#[test]
fn every_field_says_where_it_comes_from_and_when() {
    let title = "(convenio.agreement.v1.cross) = {\n      from: \"job_order.title\"\n      stage: \"POOL\"\n    },\n";
    proto(title, "", "has no option `cross`");
    proto("from: \"job_order.title\"", "from: \"job_order.titel\"", "no field `titel`");
    proto("from: \"job_order.title\"", "from: \"order.title\"", "no registry record `order`");
    proto("from: \"job_order.title\"", "from: \"job_order.seats\"", "of another type");
    proto("from: \"job_order.title\"", "from: \"job_order\"", "no path");
    proto("from: \"employer.legal_name\"", "from: \"job_order.title\"", "already feeds");
    proto("agreement_data.noc\"", "agreement_data.cno\"", "no field `cno`");
    proto("\"job_order.agreement_data.noc\"", "\"agency.agreement_data.noc\"", "does not extend");
    proto("stage: \"POOL\"", "stage: \"PULL\"", "no stage `PULL`");
    proto("as: TRANSFORM_YEAR", "as: TRANSFORM_LAST_FOUR", "of another type");
    proto("part).class = \"terms\"", "part).class = \"trems\"", "no retention class `trems`");
    proto("option (convenio.agreement.v1.part).class = \"terms\";", "", "option `part` or");
    proto("extension).of = \"job_order\"", "extension).of = \"licence\"", "extends no record");
}

#[test]
fn every_field_is_bounded() {
    let unbounded = "the text is not bounded";
    proto(
        "    (buf.validate.field).string = {\n      min_len: 1\n      max_len: 200\n    }",
        "    (buf.validate.field).string.min_len = 1",
        unbounded,
    );
    proto("\"^jobOrders/[0-9a-f-]{36}$\"", "\"^jobOrders/[0-9a-f-]+$\"", "texts of any length");
    proto("\"^jobOrders/[0-9a-f-]{36}$\"", "\"jobOrders/[0-9a-f-]{36}\"", "not anchored");
    proto("max_len: 200", "max_len: 2000000", "max_len is more than");
    proto("bytes.max_len = 32", "bytes.min_len = 32", unbounded);
    proto("      max_items: 8\n", "", "max_items");
    proto("max_items: 8", "max_items: 100000", "max_items");
    proto("      items: {\n        string: {pattern: \"^[a-z]{3}$\"}\n      }\n", "", unbounded);
    proto("      lte: 100000\n", "", "not bounded on both sides");
    proto(
        "(buf.validate.field).string = {\n      min_len: 1",
        "(buf.validate.field).ignore = IGNORE_ALWAYS,\n (buf.validate.field).string = {\n      min_len: 1",
        "ignored",
    );
    let value = Copy::new().edit("convenio/type/v1/value.proto", " [(buf.validate.field).string.max_len = 120]", "");
    refused(&value, "value.proto", unbounded);
    let value = Copy::new().edit("convenio/type/v1/value.proto", "string locality = 3", "string locality = 4");
    refused(&value, "value.proto", "another field");
}

#[test]
fn kinds_without_one_encoding_are_refused() {
    proto("int32 seats = 7", "double seats = 7", "floating-point");
    let plain = "bool housing_provided = 15";
    proto(plain, "float housing_provided = 15", "floating-point");
    proto(plain, "fixed64 housing_provided = 15", "of a kind");
    proto(plain, "map<string, string> housing_provided = 15", "maps");
    proto(
        "message JobOrderNotice {",
        "message JobOrderNotice {\n message In { string a = 1; }",
        "inside another message",
    );
    let any = Copy::new()
        .proto(plain, "google.protobuf.Duration housing_provided = 15")
        .proto("import \"convenio/type", "import \"google/protobuf/duration.proto\";\nimport \"convenio/type");
    refused(&any, "sv_ca.proto", "no value type");
}

#[test]
fn cel_is_cheap_timeless_and_works() {
    let head = "message JobOrderNotice {";
    let with = |cel: &str| {
        let rule =
            format!("{head}\n  option (buf.validate.message).cel = {{\n id: \"r\"\n expression: \"{cel}\"\n }};");
        Copy::new().proto(head, &rule)
    };
    with("this.seats >= 0 && this.languages.all(l, l != 'now')").load().unwrap();
    let nested = with("this.languages.all(a, this.languages.exists(b, a == b))");
    refused(&nested, "sv_ca.proto", "nests");
    refused(&with("now > timestamp('2024-01-01T00:00:00Z')"), "sv_ca.proto", "present time");
    refused(&with("this.seats >"), "sv_ca.proto", "do not work");
    refused(&with("this.no_such_field > 1"), "sv_ca.proto", "do not work");
    let field = "(buf.validate.field).string.pattern = \"^[A-Z0-9-]{4,32}$\"";
    let on_field = format!("{field},\n (buf.validate.field).cel = {{\n id: \"r\"\n expression: \"this >\"\n }}");
    refused(&Copy::new().proto(field, &on_field), "sv_ca.proto", "do not work");
}

#[test]
fn terms_are_compared_alike_everywhere() {
    let copy = Copy::new().proto("compare: COMPARE_HIGHER_IS_WORSE", "compare: COMPARE_LOWER_IS_WORSE");
    refused(&copy, "sv_ca.proto", "compares it otherwise");
    toml("\"CandidateName\"]", "\"CandidateName\"]\nterms = \"observed\"", "compares no term");
    proto("from: \"contract.name\"", "from: \"contract.name\"\n compare: COMPARE_LOWER_IS_WORSE", "no order");
}
