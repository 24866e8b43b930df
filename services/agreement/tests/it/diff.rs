//! An amendment explained: copies of sv-ca that change one thing each.

use convenio_agreement::diff::{Change, Diff, Effect};

use crate::fixture::{Copy, sv_ca};

fn diff(copy: &Copy) -> Vec<Change> {
    Diff::of(&sv_ca(), &copy.load().unwrap()).changes
}

/// The copy changes something about `rule` to this effect, and is refused exactly if that is the effect.
fn one(copy: &Copy, rule: &str, effect: Effect) {
    let changes = diff(copy);
    let found = changes.iter().find(|change| change.rule == rule && change.effect == effect);
    assert!(found.is_some_and(|change| !change.says.is_empty() && !change.subject.is_empty()), "{rule}: {changes:#?}");
    let refused = changes.iter().any(|change| change.effect == Effect::Refused);
    assert_eq!(refused, effect == Effect::Refused, "{rule}: {changes:#?}");
}

fn toml(old: &str, new: &str, rule: &str, effect: Effect) {
    one(&Copy::new().toml(old, new), rule, effect);
}

fn proto(old: &str, new: &str, rule: &str, effect: Effect) {
    one(&Copy::new().proto(old, new), rule, effect);
}

#[test]
fn nothing_changed_is_nothing_told() {
    assert_eq!(diff(&Copy::new()), []);
}

#[test]
fn what_breaks_the_wire_is_refused() {
    use Effect::{Added, Refused, Removed};
    proto("string title = 1 [", "string heading = 1 [", "wire/json-name", Refused);
    proto("bool housing_provided = 15", "bool housing_provided = 21", "wire/field-removed", Refused);
    // The place crosses as a code instead.
    let place = "convenio.type.v1.Place place = 3";
    let other = Copy::new()
        .proto(place, "convenio.type.v1.Date place = 3")
        .proto("job_order.place", "job_order.terms.start_date");
    let gone = "  convenio.type.v1.Date start_date = 13 [(convenio.agreement.v1.cross) = {\n    from: \"job_order.terms.start_date\"\n    stage: \"POOL\"\n  }];\n";
    one(&other.proto(gone, "  reserved 13;\n  reserved \"start_date\";\n"), "wire/type", Refused);
    // A field that is taken out with number and name reserved breaks nothing.
    let out = Copy::new().proto(gone, "  reserved 13;\n  reserved \"start_date\";\n");
    let changes = diff(&out);
    assert!(changes.iter().all(|change| change.effect != Refused), "{changes:#?}");
    assert!(changes.iter().any(|change| change.rule == "disclosure/gone"), "{changes:#?}");
    // And a later version may not take the number again.
    let again = Diff::of(&out.load().unwrap(), &sv_ca());
    assert!(again.changes.iter().any(|change| change.rule == "wire/number-reused" && change.effect == Refused));
    let kept = Copy::new().proto(gone, "");
    let dropped = Diff::of(&out.load().unwrap(), &kept.load().unwrap());
    assert!(dropped.changes.iter().any(|change| change.rule == "wire/reserved" && change.effect == Refused));
    let lists = Copy::new().proto("repeated string languages = 18", "string languages = 18");
    let single = lists.proto("from: \"job_order.languages\"", "from: \"job_order.employer_name\"");
    let rule = "(buf.validate.field).repeated = {\n      max_items: 8\n      items: {\n        string: {pattern: \"^[a-z]{3}$\"}\n      }\n    }";
    one(&single.proto(rule, "(buf.validate.field).string.max_len = 200"), "wire/cardinality", Refused);

    let head = "// Notice of a job order";
    let own = |values: &str| {
        let of = format!("// Kinds.\nenum Kind {{\n  KIND_UNSPECIFIED = 0;\n{values}}}\n\n{head}");
        Copy::new().proto(head, &of)
    };
    let two = own("  KIND_A = 1;\n  KIND_B = 2;\n").load().unwrap();
    let enums = |values: &str| Diff::of(&two, &own(values).load().unwrap()).changes;
    let effect = |values: &str| enums(values).iter().find(|change| change.rule == "wire/enum-value").map(|c| c.effect);
    assert_eq!(effect("  KIND_A = 1;\n"), Some(Refused));
    assert_eq!(effect("  KIND_A = 1;\n  KIND_C = 2;\n"), Some(Refused));
    assert_eq!(effect("  reserved 2;\n  reserved \"KIND_B\";\n  KIND_A = 1;\n"), None);
    assert_eq!(effect("  KIND_A = 1;\n  KIND_B = 2;\n  KIND_C = 3;\n"), Some(Added));
    assert!(Diff::of(&two, &sv_ca()).changes.iter().any(|c| c.rule == "wire/enum" && c.effect == Removed));
}

#[test]
fn parties_states_governors_and_stages_are_kept() {
    use Effect::{Added, Refused};
    toml("country = \"SV\"", "country = \"GT\"", "identity/party", Refused);
    toml("\"POOL\", \"NOMINATED\"", "\"NOMINATED\", \"POOL\"", "kept/stage", Refused);
    toml("\"POOL\", \"NOMINATED\"", "\"POOL\", \"SEEN\", \"NOMINATED\"", "stage/added", Added);
    toml(
        "name = \"TRANSFERRED\"\ngovernor = \"destination\"",
        "name = \"TRANSFERRED\"\ngovernor = \"origin\"",
        "kept/governor",
        Refused,
    );
    let text = Copy::new().read("agreements/sv-ca/agreement.toml").replace("\"RECALLED\"", "\"CALLED_BACK\"");
    one(&Copy::new().write("agreements/sv-ca/agreement.toml", &text), "kept/state", Refused);
}

#[test]
fn what_crosses_more_or_earlier_is_told() {
    use Effect::{Loosened, Tightened};
    let year = "as: TRANSFORM_YEAR";
    assert!(Copy::new().read("agreements/sv-ca/sv_ca.proto").contains(year));
    let head = "// The worker left the origin";
    let message = format!(
        "// Sex, again.\nmessage Extra {{\n  option (convenio.agreement.v1.part).class = \"personal\";\n  convenio.type.v1.Place residence = 1 [(convenio.agreement.v1.cross) = {{\n    from: \"worker.residence\"\n    stage: \"DEPARTED\"\n  }}];\n}}\n\n{head}"
    );
    one(&Copy::new().proto(head, &message), "disclosure/new", Loosened);
    let name = |stage: &str| format!("from: \"worker.given_names\"\n      stage: \"{stage}\"");
    proto(&name("OFFERED"), &name("NOMINATED"), "disclosure/stage", Loosened);
    proto(&name("OFFERED"), &name("CONTRACTED"), "disclosure/stage", Tightened);
    let compare = "stage: \"OFFERED\"\n    compare: COMPARE_LOWER_IS_WORSE\n  }];\n  bool housing_provided";
    proto(compare, &compare.replace("    compare: COMPARE_LOWER_IS_WORSE\n", ""), "terms/compare", Loosened);
}

#[test]
fn limits_gates_and_deadlines_are_told_by_their_direction() {
    use Effect::{Added, Changed, Loosened, Tightened};
    toml("minimum_age = 18", "minimum_age = 16", "limit/age", Loosened);
    toml("minimum_age = 18", "minimum_age = 21", "limit/age", Tightened);
    toml("\"licensed-agency\", ", "", "limit/recruiters", Tightened);
    toml("\"rights\", \"duties\"", "\"rights\"", "limit/modules", Loosened);
    toml("cosign_deadline_hours = 48", "cosign_deadline_hours = 96", "deadline/cosign", Loosened);
    toml("\"not_withdrawn\", \"order_open\", \"seat_free\"", "\"not_withdrawn\", \"order_open\"", "act/gate", Loosened);
    toml("messages = [\"Recall\"]", "messages = [\"Recall\"]\ngates = [\"reason_given\"]", "act/gate", Tightened);
    toml("personal]\nmonths = 72\n", "personal]\nmonths = 96\n", "retention/months", Loosened);
    toml("longest_hold_months = 24", "longest_hold_months = 12", "retention/hold", Tightened);
    toml(
        "housing_weekly_max = { minor_units = 3000",
        "housing_weekly_max = { minor_units = 3500",
        "fees/housing",
        Loosened,
    );
    toml("never = [\"recruitment\", ", "never = [\"recruitment\", \"lodging\", ", "fees/never", Tightened);
    toml("erase_answer_days = 30", "erase_answer_days = 20", "deadline/erase", Tightened);
    let quota = |limit: u32| {
        let table = "[retention]\n";
        let quota = format!(
            "[[quotas]]\nname = \"season\"\nlimit = {limit}\nfrom = \"2026-01-01\"\nuntil = \"2026-12-31\"\n\n"
        );
        Copy::new().toml(table, &format!("{quota}{table}")).load().unwrap()
    };
    let limits = |a: u32, b: u32| Diff::of(&quota(a), &quota(b)).changes;
    let effect = |changes: &[Change], rule: &str| changes.iter().find(|c| c.rule == rule).map(|c| c.effect);
    assert_eq!(effect(&limits(10, 20), "quota/limit"), Some(Loosened));
    assert_eq!(effect(&limits(20, 10), "quota/limit"), Some(Tightened));
    assert_eq!(effect(&Diff::of(&sv_ca(), &quota(5)).changes, "quota/added"), Some(Tightened));
    assert_eq!(effect(&Diff::of(&quota(5), &sv_ca()).changes, "quota/removed"), Some(Loosened));
    let deadline = |days: u32| {
        let table = format!(
            "[[deadlines]]\nname = \"seen\"\nafter = \"employ\"\nfact = \"contract_observed\"\ndays = {days}\n\n[retention]\n"
        );
        Copy::new().toml("[retention]\n", &table).load().unwrap()
    };
    assert_eq!(effect(&Diff::of(&deadline(15), &deadline(30)).changes, "deadline/days"), Some(Loosened));
    assert_eq!(effect(&Diff::of(&sv_ca(), &deadline(30)).changes, "deadline/added"), Some(Tightened));
    assert_eq!(effect(&Diff::of(&sv_ca(), &deadline(30)).changes, "identity/amends"), Some(Changed));
    let fact = "[[lifecycle.facts]]\nname = \"withdrawn\"";
    let visited = "[[lifecycle.facts]]\nname = \"visited\"\nby = \"origin\"\nmessages = [\"Seen\"]\n\n";
    let head = "// The worker withdraws";
    let seen = format!(
        "// A visit.\nmessage Seen {{\n  option (convenio.agreement.v1.part).class = \"record\";\n  convenio.type.v1.Place place = 1 [(convenio.agreement.v1.cross) = {{\n    from: \"event.place\"\n    stage: \"EMPLOYED\"\n  }}];\n}}\n\n{head}"
    );
    one(&Copy::new().toml(fact, &format!("{visited}{fact}")).proto(head, &seen), "act/added", Added);
}

#[test]
fn the_version_that_is_amended_is_named() {
    let digest = hex::encode(sv_ca().digest());
    let named = Copy::new().toml("minimum_age = 18", &format!("amends = \"{digest}\"\nminimum_age = 19"));
    assert!(diff(&named).iter().all(|change| change.rule != "identity/amends"));
}
