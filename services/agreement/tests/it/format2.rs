//! Format 2 of `agreement.toml`: broken copies are refused by file, line and key; format 1 is still read.

use convenio_agreement::PackError;
use convenio_agreement::config::{Day, Instrument, LegalStatus, PartyRole, Recruiter};
use convenio_wire::r#type::v1::RecruiterKind;

use crate::fixture::{Copy, sv_ca};

/// The copy with `old` replaced is refused about the line on which `new` begins, with these words: what is missing is
/// told at the head of its table.
fn refused(old: &str, new: &str, key: &str, words: &str) -> PackError {
    let copy = Copy::new().toml(old, new);
    let error = copy.load().unwrap_err();
    let text = Copy::new().read("agreements/sv-ca/agreement.toml");
    assert!(error.file.ends_with("agreement.toml"), "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.key.as_deref(), Some(key), "{error}");
    let at = text.find(old).unwrap();
    let first = u32::try_from(text[..at].matches('\n').count() + 1).unwrap();
    let last = first + u32::try_from(new.matches('\n').count()).unwrap();
    assert!(
        error.line.is_some_and(|line| (first.saturating_sub(3)..=last + 1).contains(&line)),
        "{error}, not {first}"
    );
    error
}

#[test]
fn the_tables_of_format_2_are_read() {
    let pack = sv_ca();
    let config = pack.config();
    assert_eq!(config.instrument_kind(), Some(Instrument::SectoralContract));
    assert_eq!(config.legal_text("bilateral-text").unwrap().status, LegalStatus::Uncertain);
    assert_eq!(config.party("ca").unwrap().role, PartyRole::Destination);
    assert_eq!(config.party("sv").unwrap().authority("mtps").unwrap().name, "Ministerio de Trabajo y Previsión Social");
    assert_eq!(config.validity.as_ref().unwrap().from, Day::new(2019, 1, 1).unwrap());
    assert_eq!(config.fees.as_ref().unwrap().housing_weekly_max.as_ref().unwrap().minor_units, 3000);
    assert_eq!(config.amended(), None);
    assert_eq!(RecruiterKind::from(Recruiter::SelfFound) as i32, 5);
    assert_eq!(RecruiterKind::from(Recruiter::Contractor) as i32, 4);
}

#[test]
fn what_format_2_demands_is_demanded() {
    let missing = |table: &str, key: &str| {
        let text = Copy::new().read("agreements/sv-ca/agreement.toml");
        let start = text.find(table).unwrap();
        let end = start + 1 + text[start + 1..].find("\n\n").unwrap();
        let cut = format!("{}{}", &text[..start], &text[end..]);
        let error = Copy::new().write("agreements/sv-ca/agreement.toml", &cut).load().unwrap_err();
        assert_eq!(error.key.as_deref(), Some(key), "{error}");
        assert!(error.file.ends_with("agreement.toml"), "{error}");
    };
    for table in ["validity", "stay", "fees", "data", "policy_basis", "suspension"] {
        missing(&format!("[{table}]"), table);
    }
    missing("[[sectors]]", "sectors");
}

#[test]
fn a_file_of_format_1_is_read_and_uses_nothing_of_format_2() {
    let text = Copy::new().read("agreements/sv-ca/agreement.toml");
    let rest = &text[text.find("# How long what crossed").unwrap()..];
    let rest = rest.replace("[suspension]\nstill = [\"end\", \"close\"]\n", "");
    let head = "format = 1\nid = \"sv-ca\"\ntitle = \"t\"\ninstrument = \"any-code\"\nprofile = \"north-south\"\n\
        proto = \"agreements/sv-ca/sv_ca.proto\"\npackage = \"agreements.sv_ca.v1\"\n\
        stages = [\"POOL\", \"NOMINATED\", \"OFFERED\", \"CONTRACTED\", \"PERMITTED\", \"DEPARTED\", \"EMPLOYED\", \"CLOSED\"]\n\
        minimum_age = 18\nrecruiters = [\"employer-direct\"]\nmandatory_modules = []\nfee_rule = \"none\"\n\
        cosign_deadline_hours = 48\n\
        [[parties]]\nid = \"sv\"\ncountry = \"SV\"\nrole = \"origin\"\n\
        [[parties]]\nid = \"ca\"\ncountry = \"CA\"\nrole = \"destination\"\n";
    let old = |head: &str, tail: &str| {
        Copy::new().write("agreements/sv-ca/agreement.toml", &format!("{head}{rest}{tail}")).load()
    };
    let pack = old(head, "").unwrap();
    assert_eq!(pack.config().instrument_kind(), None);
    let needs = |head: &str, tail: &str, key: &str| {
        let error = old(head, tail).unwrap_err();
        assert_eq!(error.key.as_deref(), Some(key), "{error}");
        assert!(error.problem.contains("format = 2"), "{error}");
    };
    needs(&head.replace("title", "amends = \"00\"\ntitle"), "", "amends");
    needs(&head.replace("employer-direct", "self-found"), "", "recruiters");
    needs(&head.replace("north-south", "south-south"), "", "profile");
    needs(&head.replace("title", "import = []\ntitle"), "", "import");
    needs(&head.replace("role = \"origin\"", "role = \"origin\"\ncurrency = \"USD\""), "", "parties[0].id");
    needs(head, "\n[stay]\nmax_days = 1\nper = \"permit\"\nrenewal = \"none\"\n", "stay");
    needs(head, "\n[[gates]]\nname = \"x\"\nfact = \"oriented\"\n", "gates");
    let error = old(&head.replace("fee_rule = \"none\"\n", ""), "").unwrap_err();
    assert_eq!(error.key.as_deref(), Some("fee_rule"));
}

#[test]
fn law_is_told_with_its_doubts() {
    let uncertain = "status = \"uncertain\"\ndoubt = \"No agreement between the two states was found.\"";
    refused(uncertain, "status = \"uncertain\"", "legal[0].doubt", "1 to 1000");
    refused(uncertain, "status = \"read\"", "legal[0].source", "1 to 400");
    refused("key = \"mtps-programme\"", "key = \"bilateral-text\"", "legal[1].key", "named twice");
    refused("party = \"ca\"\nstatus", "party = \"gt\"\nstatus", "legal[2].party", "no party `gt`");
    let copy = Copy::new().toml(uncertain, &format!("date = \"2023-02-29\"\n{uncertain}"));
    let error = copy.load().unwrap_err();
    assert!(error.to_string().contains("YYYY-MM-DD") && error.line.is_some(), "{error}");
}

#[test]
fn parties_have_offices_zones_and_currencies() {
    refused("America/Toronto", "Toronto", "parties[1].time_zone", "America/Managua");
    refused("currency = \"CAD\"\nauth", "currency = \"cad\"\nauth", "parties[1].currency", "ISO 4217");
    refused("key = \"ircc\"", "key = \"esdc\"", "parties[1].authorities[1].key", "named twice");
    refused("role = \"origin\"\n", "role = \"both\"\n", "parties[0].role", "three parties");
    refused(
        "party = \"sv\", office = \"mtps\"",
        "party = \"sv\", office = \"esdc\"",
        "data.controllers[0].office",
        "no authority",
    );
    let apart = Copy::new().toml("currency = \"USD\"\n", "currency = \"USD\"\nconnected = false\n").load().unwrap_err();
    assert!(apart.key.as_deref() == Some("instrument") && apart.problem.contains("unilateral"), "{apart}");
}

#[test]
fn limits_are_bounded_and_resolved() {
    refused(
        "instrument = \"sectoral-contract\"",
        "instrument = \"handshake\"",
        "instrument",
        "must be one of treaty, mou",
    );
    refused(
        "languages = [\"spa\", \"eng\", \"fra\"]\nc",
        "languages = [\"spa\", \"en\", \"fra\"]\nc",
        "languages[1]",
        "639-3",
    );
    refused("contract_languages = [\"spa\"", "contract_languages = [\"hat\"", "contract_languages[0]", "not among");
    refused("max_days = 730", "max_days = 0", "stay.max_days", "1 to 3660");
    refused("isic = [\"01\"]", "isic = [\"1\"]", "sectors[0].isic[0]", "ISIC");
    refused("isic = [\"01\"]", "isic = [\"01\"]\nminimum_age = 16", "sectors[0].minimum_age", "18 to 100");
    refused("worker_may_pay = []", "worker_may_pay = [\"travel\"]", "fees.worker_may_pay[0]", "`never`");
    refused("transfer_basis = \"transfer-basis\"", "transfer_basis = \"x\"", "data.transfer_basis", "no key `x`");
    refused("still = [\"end\"", "still = [\"stop\"", "suspension.still[0]", "no transition `stop`");
    refused(
        "renewal = \"none\"\nnotice",
        "until = \"2018-12-31\"\nrenewal = \"none\"\nnotice",
        "validity.until",
        "before",
    );
    let reason = "diagnosis = { status = \"missing\" }";
    refused(
        "diagnosis = { status = \"uncertain\", reason = \"no source was read\" }",
        reason,
        "policy_basis.diagnosis.reason",
        "1 to",
    );
    refused("format = 2\n", "format = 2\namends = \"beef\"\n", "amends", "hex digest");
    let unknown =
        Copy::new().toml("enforcement_use = \"forbidden\"", "enforcement_use = \"allowed\"").load().unwrap_err();
    assert!(unknown.to_string().contains("`allowed`"), "{unknown}");
}

#[test]
fn lists_of_tables_resolve_their_names() {
    let before = "# What goes on while";
    let with = |table: &str, key: &str, words: &str| {
        let new = format!("{table}\n{before}");
        let error = refused(before, &new, key, words);
        assert!(error.line.is_some());
    };
    let quota = "[[quotas]]\nname = \"q\"\nlimit = 1\nfrom = \"2024-01-01\"\n";
    with(&format!("{quota}until = \"2023-01-01\"\n"), "quotas[0].until", "before `from`");
    with(&format!("{quota}until = \"2024-01-01\"\nareas = [\"QC\"]\n"), "quotas[0].areas[0]", "3166-2");
    with(&format!("{quota}until = \"2024-01-01\"\nclause = \"x\"\n"), "quotas[0].clause", "no key `x`");
    with("[[gates]]\nname = \"g\"\nfact = \"sung\"\n", "gates[0].fact", "no fact `sung`");
    with("[[gates]]\nname = \"g\"\n", "gates[0].name", "exactly one");
    with("[[gates]]\nname = \"consent\"\nfact = \"oriented\"\n", "gates[0].name", "built-in");
    with("[[gates]]\nname = \"g\"\nabsent = \"oriented\"\nat_most = 1\n", "gates[0].absent", "neither");
    with("[[gates]]\nname = \"g\"\nfact = \"oriented\"\nonly_if = {}\n", "gates[0].only_if", "says nothing");
    with(
        "[[deadlines]]\nname = \"d\"\nafter = \"preselect\"\nfact = \"oriented\"\ndays = 1\n",
        "deadlines[0].after",
        "crosses",
    );
    with(
        "[[deadlines]]\nname = \"d\"\nafter = \"offer\"\nfact = \"x\"\ndays = 1\n",
        "deadlines[0].fact",
        "no fact `x`",
    );
    with(
        "[[code_lists]]\nname = \"c\"\nvalues = [\"A\", \"A\"]\nfields = [\"contract.x\"]\n",
        "code_lists[0].values[1]",
        "twice",
    );
    with(
        "[[code_lists]]\nname = \"c\"\nvalues = [\"A\"]\nfields = [\"contract\"]\n",
        "code_lists[0].fields[0]",
        "path",
    );
    with("[sign_off.sv]\noffices = [\"mtps\"]\nk = 2\n", "sign_off.sv.k", "1 to 1");
    with("[sign_off.sv]\noffices = [\"mtps\"]\nk = 1\nmust = [\"mre\"]\n", "sign_off.sv.must[0]", "not among");
    with("[sign_off.gt]\noffices = [\"mtps\"]\nk = 1\n", "sign_off.gt", "no party `gt`");
    with(
        "[joint_committee]\nmembers_per_party = 0\nmeets_per_year = 2\ndecides = []\n",
        "joint_committee.members_per_party",
        "1 to 32",
    );
    let deposit = "[[fees.deposits]]\nkind = \"exit\"\npayer = \"employer\"\nminor_units = 2000\ncurrency = \"USD\"\n";
    with(&format!("{deposit}refunded_on = \"left\"\n"), "fees.deposits[0].refunded_on", "no fact `left`");
    let worker = format!("{}refunded_on = \"exited\"\n{before}", deposit.replace("\"employer\"", "\"worker\""));
    let error = Copy::new().toml(before, &worker).load().unwrap_err();
    assert!(error.to_string().contains("`worker`"), "{error}");
}
