//! What to write instead, by the table that a finding is in, where the check itself did not say it.

use crate::pack::PackError;

/// What a table or key looks like when it is right, by the beginning of its path.
const TABLES: &[(&str, &str)] = &[
    ("format", "format = 2"),
    ("id", "id = \"xx-yy\", the name of the folder"),
    ("title", "title = \"A – B, what for\", 1 to 400 bytes"),
    (
        "instrument",
        "treaty, mou, administrative, unilateral, sectoral-contract, regional-free-movement or regional-integration",
    ),
    (
        "frameworks",
        "frameworks = [\"fair-recruitment\"], out of ICMW, C97, C143, C181, C189 and fair-recruitment, each once",
    ),
    ("waive", "waive = [{ rule = \"<floor>\", reason = \"…\", clause = \"<key of [[legal]]>\" }]"),
    ("languages", "languages = [\"spa\"], ISO 639-3"),
    ("contract_languages", "a subset of `languages`"),
    ("proto", "proto = \"agreements/<id>/<id>.proto\""),
    ("packages", "packages = [\"agreements.common.<name>.v1\"], each the package of an imported file"),
    ("package", "package = \"agreements.<id>.v1\""),
    ("import", "import = [\"agreements/common/<name>.toml\"]"),
    ("amends", "the hex digest that `convenio agreement digest` prints for the version before, or \"\""),
    ("stages", "stages = [\"POOL\", \"NOMINATED\", …], distinct names of ASCII letters, digits and underscores"),
    ("minimum_age", "minimum_age = 18"),
    (
        "recruiters",
        "one to five of public-employment-service, licensed-agency, employer-direct, contractor, self-found",
    ),
    ("mandatory_modules", "mandatory_modules = [\"rights\", \"contract\", …]"),
    ("fee_rule", "in format 2, a table [fees]; in format 1, fee_rule = \"none\""),
    ("cosign_deadline_hours", "cosign_deadline_hours = 48"),
    ("legal", "[[legal]] key, title, status = \"read\" | \"read-excerpt\" with source, or \"uncertain\" with doubt"),
    (
        "parties",
        "[[parties]] id = \"xx\", country = \"XX\", role, time_zone = \"America/…\", currency = \"XXX\", authorities",
    ),
    (
        "validity",
        "[validity] from = \"2026-01-01\", renewal = \"automatic\" | \"by-ratification\" | \"none\", term_months",
    ),
    ("stay", "[stay] max_days = 365, per = \"permit\" | \"placement\" | \"any-12-months\", renewal"),
    ("sectors", "[[sectors]] isic = [\"01\"], codes of ISIC Rev. 4"),
    ("quotas", "[[quotas]] name, limit, from, until, areas = [], occupations = [], clause"),
    ("fees", "[fees] worker_may_pay = [], never = [\"recruitment\", \"placement\", \"travel\", \"permit\"]"),
    (
        "data",
        "[data] transfer_basis = \"<key of [[legal]]>\", controllers, breach_notice_hours, enforcement_use, subject_rights_days",
    ),
    ("joint_committee", "[joint_committee] members_per_party = 3, meets_per_year = 2, decides = [\"quotas\"]"),
    ("policy_basis", "<point> = { status = \"done\", date = \"…\" }, or \"missing\" or \"uncertain\" with a reason"),
    ("sign_off", "[sign_off.<party>] offices = [keys of its authorities], k, must"),
    ("suspension", "[suspension] still = [transitions that go on], such as [\"end\", \"close\"]"),
    ("code_lists", "[[code_lists]] name, values, fields = [\"contract.terms.piece_unit\"]"),
    ("gates", "[[gates]] name, fact = \"<fact>\" or absent = \"<fact>\", clause"),
    ("deadlines", "[[deadlines]] name, after = \"<act>\", fact = \"<fact>\", days, clause"),
    ("retention", "[retention] ended, erase_answer_days, grounds with \"retention-ended\", hold_grounds, classes"),
    ("witness", "[witness] independent = \"none\", or \"required\" with quorum and keys"),
    (
        "lifecycle.states",
        "[[lifecycle.states]] name, governor = \"origin\" | \"destination\", stage; reached by a transition",
    ),
    (
        "lifecycle.transitions",
        "[[lifecycle.transitions]] name, from = [states], to, by, messages (the lead first), gates",
    ),
    ("lifecycle.facts", "[[lifecycle.facts]] name, by, messages (the lead first), needs_stage, stage, gates"),
    ("lifecycle.notices", "[[lifecycle.notices]] name, by = [roles], message, subject = \"jobOrders\" | \"agencies\""),
    ("lifecycle", "names of states, facts and messages that the same file declares"),
    ("use", "[use] drop = [\"transition.x\"], require = { act = [\"gate\"] }"),
];

/// What to write instead of what `error` tells.
pub(super) fn advice(error: &PackError) -> String {
    let key = error.key.as_deref().unwrap_or_default();
    let below =
        |table: &str| key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    if error.file.ends_with(".toml")
        && let Some((_, instead)) = TABLES.iter().find(|(table, _)| below(table))
    {
        return (*instead).to_owned();
    }
    match error.rule {
        "config/toml" => "TOML as the guide shows it: every key once, known, of its type".to_owned(),
        "schema/compile" => {
            "proto3 that compiles: imports below the folder of packs, numbers and names used once".to_owned()
        }
        "schema/package" => "list the file's package in `package` or `packages`, or do not import it".to_owned(),
        "schema/size" => "fewer and smaller messages; split the agreement if it needs more".to_owned(),
        "schema/options" => "options of convenio.agreement.v1 and buf.validate alone".to_owned(),
        rule if rule.starts_with("text/") => "plain text in short lines, brackets not deep, no escapes".to_owned(),
        "file" => "a plain file of at most 1 MiB where the pack names it".to_owned(),
        _ => "what the authoring guide shows for it".to_owned(),
    }
}
