//! Fragments: what merges, what does not, and that every problem names the file and line that it comes from.

use convenio_agreement::{Pack, PackError, pack};

use crate::fixture::{Copy, sv_ca};

const TOML: &str = "agreements/sv-ca/agreement.toml";
const SHARED: &str = "agreements/common/shared.toml";

/// sv-ca with its retention and lifecycle in a fragment; `head` is put at the pack's top, `tail` at its end and `more`
/// at the fragment's end.
fn split(head: &str, tail: &str, more: &str) -> Copy {
    let text = Copy::new().read(TOML);
    let at = text.find("# How long what crossed").unwrap();
    let own = text[..at].replace("format = 2\n", &format!("format = 2\nimport = [\"{SHARED}\"]\n{head}"));
    Copy::new().write(TOML, &format!("{own}{tail}")).write(SHARED, &format!("{}{more}", &text[at..]))
}

/// The file, the line and the problem of a refusal.
fn refused(copy: &Copy, file: &str, at: &str, words: &str) -> PackError {
    let error = copy.load().unwrap_err();
    assert!(error.file.ends_with(file), "{error}");
    assert!(error.to_string().contains(words), "{error}");
    let text = copy.read(file);
    let line = text.lines().position(|line| line.contains(at)).unwrap() + 1;
    assert_eq!(error.line, Some(u32::try_from(line).unwrap()), "{error}");
    error
}

#[test]
fn a_pack_in_two_files_is_the_same_pack_under_another_digest() {
    let copy = split("", "", "");
    let pack = copy.load().unwrap();
    assert_eq!(pack.effective(), sv_ca().effective());
    assert_eq!(pack.effective_sha256(), sv_ca().effective_sha256());
    assert_ne!(pack.digest(), sv_ca().digest());
    assert!(pack.files().file(SHARED).is_some());
    assert_eq!(pack.lifecycle().states, sv_ca().lifecycle().states);
    let stored = Pack::from_files(pack.files().clone()).unwrap();
    assert_eq!((stored.digest(), stored.effective()), (pack.digest(), pack.effective()));
    assert_eq!(pack::list(&copy.root().join("agreements")).unwrap(), ["sv-ca"]);
}

#[test]
fn the_effective_text_is_canonical_toml() {
    let pack = split("", "", "").load().unwrap();
    let read: toml::Table = pack.effective().parse().unwrap();
    let whole: toml::Table = Copy::new().read(TOML).parse().unwrap();
    assert_eq!(read, whole);
    assert!(!pack.effective().contains("import") && !pack.effective().contains("[use]"));
    let spaced = Copy::new().read(TOML).replace(" = ", "   =   ").replace("[data]", "# a note\n[data]");
    let spaced = Copy::new().write(TOML, &spaced).load().unwrap();
    assert_eq!(spaced.effective(), sv_ca().effective());
    let other = Copy::new().toml("max_days = 730", "max_days = 729").load().unwrap();
    assert_ne!(other.effective_sha256(), sv_ca().effective_sha256());
}

/// A vector that any other program that merges must give as well.
#[test]
fn a_merge_gives_this_very_text() {
    let copy = split(
        "override = [\"title\"]\n",
        "[[quotas]]\nname = \"a\"\nlimit = 2\nfrom = \"2024-01-01\"\nuntil = \"2024-12-31\"\nareas = [\"CA-ON\"]\n",
        "",
    );
    let shared = copy.read(SHARED);
    let copy = copy.write(
        SHARED,
        &format!(
            "title = \"to be replaced\"\n{shared}\n[[quotas]]\nname = \"b\"\nlimit = 0x10\nfrom = '2024-01-01'\n\
             until = \"2024-12-31\"\nclause = \"\"\"transfer-basis\"\"\"\n"
        ),
    );
    let pack = copy.load().unwrap();
    let quotas = "[[quotas]]\nclause = \"transfer-basis\"\nfrom = \"2024-01-01\"\nlimit = 16\nname = \"b\"\nuntil = \"2024-12-31\"\n\
        [[quotas]]\nareas = [\"CA-ON\"]\nfrom = \"2024-01-01\"\nlimit = 2\nname = \"a\"\nuntil = \"2024-12-31\"\n\
        [[sectors]]\n";
    assert!(pack.effective().contains(quotas), "{}", pack.effective());
    assert!(pack.effective().starts_with(
        "contract_languages = [\"spa\", \"eng\", \"fra\"]\ncosign_deadline_hours = 48\nformat = 2\n\
         frameworks = [\"fair-recruitment\"]\nid = \"sv-ca\"\n"
    ));
    assert!(pack.config().title.starts_with("El Salvador"));
}

#[test]
fn what_two_files_set_is_overridden_by_name_or_refused() {
    let twice = split("", "[retention]\nerase_answer_days = 20\n", "");
    let error = refused(&twice, TOML, "erase_answer_days = 20", "already set at agreements/common/shared.toml:");
    assert_eq!(error.key.as_deref(), Some("retention.erase_answer_days"));
    let head = "override = [\"retention.erase_answer_days\", \"retention.hold_grounds\"]\n";
    let tail = "[retention]\nerase_answer_days = 20\nhold_grounds = [\"audit\"]\n";
    let pack = split(head, tail, "").load().unwrap();
    assert_eq!(pack.retention().erase_answer_days, 20);
    assert_eq!(pack.retention().hold_grounds, ["audit"]);
    assert_eq!(pack.retention().longest_hold_months, 24);
    refused(&split("override = [\"retention.ended\"]\n", "", ""), TOML, "override =", "nothing before sets");
    let table = split("override = [\"retention\"]\n", "retention = 3\n", "");
    let text = table.read(TOML);
    let table =
        table.write(TOML, &text.replace("retention = 3\n", "").replace("format = 2\n", "format = 2\nretention = 3\n"));
    refused(&table, TOML, "retention = 3", "already set at");
    let state = "[[lifecycle.states]]\nname = \"CLOSED\"\ngovernor = \"origin\"\nstage = \"CLOSED\"\n";
    refused(
        &split("", state, ""),
        TOML,
        "[[lifecycle.states]]",
        "`CLOSED` is already named at agreements/common/shared.toml:",
    );
}

#[test]
fn problems_of_a_fragment_name_the_fragment() {
    refused(&split("", "", "[stay]\nmax_days = 0\nper = \"permit\"\n"), TOML, "max_days = 730", "already set");
    let gates = split("", "", "[[gates]]\nname = \"g\"\nfact = \"sung\"\n");
    let error = refused(&gates, SHARED, "fact = \"sung\"", "no fact `sung`");
    assert_eq!(error.key.as_deref(), Some("gates[0].fact"));
    refused(&split("", "", "[[gates]]\nname = \"g\"\nfakt = \"x\"\n"), SHARED, "fakt", "unknown field `fakt`");
    refused(&split("", "", "x = = 3\n"), SHARED, "x = = 3", "");
    refused(&split("", "", "[use]\ndrop = []\n"), SHARED, "[use]", "a fragment may not have it");
    refused(
        &split("", "", "").edit(SHARED, "gates = [\"consent\", \"minimum_age\"]", "gates = [\"consentt\"]"),
        SHARED,
        "consentt",
        "consentt",
    );
    let deep = split("", "", "").edit(SHARED, "# How long", "import = [\"agreements/common/other.toml\"]\n# How long");
    refused(&deep, SHARED, "import =", "a fragment may not have it");
}

#[test]
fn imports_are_few_small_and_in_their_place() {
    let import = |list: &str| Copy::new().toml("format = 2\n", &format!("format = 2\nimport = {list}\n"));
    let wrong = |list: &str, words: &str| refused(&import(list), TOML, "import =", words);
    wrong("3", "a list");
    wrong("[\"agreements/common/none.toml\"]", "no such file");
    for path in [
        "agreements/sv-ca/agreement.toml",
        "agreements/common/../x.toml",
        "/etc/hostname",
        "agreements/common/agreement.toml",
    ] {
        wrong(&format!("[\"{path}\"]"), "must be agreements/common/<name>.toml");
    }
    let nine: Vec<String> = (0..9).map(|n| format!("\"agreements/common/f{n}.toml\"")).collect();
    wrong(&format!("[{}]", nine.join(", ")), "more than 8");
    let empty = |list: &str| import(list).write("agreements/common/e.toml", "# nothing\n");
    empty("[\"agreements/common/e.toml\"]").load().unwrap();
    let twice = empty("[\"agreements/common/e.toml\", \"agreements/common/e.toml\"]");
    refused(&twice, TOML, "import =", "imported twice");
    let large = format!("#{}\n", "x".repeat(300 * 1024));
    let error = import("[\"agreements/common/e.toml\"]").write("agreements/common/e.toml", &large).load().unwrap_err();
    assert!(error.file.ends_with("common/e.toml") && error.problem.contains("larger"), "{error}");
    let left_over = split("", "", "").write("agreements/common/unused.toml", "");
    assert!(Pack::read_from(left_over.root()).unwrap_err().file.ends_with("unused.toml"));
}

#[test]
fn a_pack_leaves_out_and_adds_but_never_takes_a_gate_off() {
    let used = |what: &str| split("", &format!("[use]\n{what}\n"), "");
    let drop = "drop = [\"transition.transfer\", \"transition.settle\", \"state.TRANSFERRED\", \"fact.exited\"]";
    let require = "require = { offer = [\"reason_given\"], returned = [\"consent\"] }";
    let pack = used(&format!("{drop}\n{require}")).load().unwrap();
    assert!(pack.lifecycle().state("TRANSFERRED").is_none() && pack.lifecycle().fact("exited").is_none());
    assert!(pack.lifecycle().transition("end").is_some());
    let offer = &pack.config().lifecycle.transitions.iter().find(|act| act.name == "offer").unwrap().gates;
    assert_eq!(*offer, ["not_withdrawn", "order_open", "seat_free", "reason_given"]);
    assert_eq!(pack.config().lifecycle.facts.iter().find(|act| act.name == "returned").unwrap().gates, ["consent"]);

    refused(&used("drop = [\"state.NOWHERE\"]"), TOML, "drop =", "`state.NOWHERE` is not there");
    refused(&used("drop = [\"class.personal\"]"), TOML, "drop =", "must be transition, fact");
    refused(&used("require = { fly = [\"consent\"] }"), TOML, "require =", "no transition or fact `fly`");
    refused(&used("require = { offer = [\"seat_free\"] }"), TOML, "require =", "already has the gate");
    refused(&used("remove = []"), TOML, "remove =", "unknown field `remove`");
    let error = used("drop = [\"state.TRANSFERRED\"]").load().unwrap_err();
    assert!(error.problem.contains("no state `TRANSFERRED`") && error.file.ends_with(SHARED), "{error}");
    let own = "[[gates]]\nname = \"g\"\nfact = \"oriented\"\n[use]\ndrop = [\"gate.g\"]\n";
    refused(&split("", own, ""), TOML, "drop =", "is the pack's own");
}

#[test]
fn a_pack_is_at_most_four_mebibytes() {
    let large = format!("syntax = \"proto3\";\n//{}\n", "x".repeat(1024 * 1024 - 100));
    let mut files = sv_ca().files().clone();
    let more = (0..4).map(|n| files.insert(&format!("agreements/common/f{n}.proto"), large.clone().into_bytes()));
    let refused = more.filter_map(Result::err).next().unwrap();
    assert!(refused.to_string().contains("4 MiB"), "{refused}");
}
