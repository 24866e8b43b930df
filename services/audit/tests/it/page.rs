//! The auditor's page: every command on it is run, and no other.

use std::path::{Path, PathBuf};
use std::process::Command;

use convenio_audit::verdict::{Outcome, VERDICT_TYPE, Verdict};
use convenio_model::Ref;
use convenio_seal::{Envelope, SigningKey};
use convenio_wire::exchange::v1::statement::Body;
use tempfile::TempDir;

use crate::export::draft;
use crate::findings::{EMPLOYED, opened};
use crate::integrity::{job, season};
use crate::pair::{CA, Pair, SV, origin};
use crate::records::Job;

/// A command line and the exit code that the page promises.
fn commands(page: &str) -> Vec<(String, i32)> {
    let mut found: Vec<(String, i32)> = Vec::new();
    for block in page.split("```sh\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match line.strip_prefix("# exit code ") {
                Some(code) => found.last_mut().unwrap().1 = code.parse().unwrap(),
                None => found.push((line.to_owned(), 0)),
            }
        }
    }
    found
}

fn page(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}

/// A season with one substitution, exported by both sides.
pub fn exported() -> (Pair, TempDir) {
    let one = job(1, Some(Ref([100; 16])));
    let mut pair = opened(&one);
    season(&mut pair, &one, &EMPLOYED);
    season(&mut pair, &Job { wage_cents: 1400, ..one }, &[(SV, "contract_observed")]);
    let dir = TempDir::new().unwrap();
    draft(&pair, SV).write(&pair, &dir.path().join("sv"));
    draft(&pair, CA).write(&pair, &dir.path().join("ca"));
    std::fs::write(dir.path().join("trust"), pair.trust()).unwrap();
    (pair, dir)
}

/// Runs a line in `dir` with the program in the path: its code, what it wrote, what it complained of.
pub fn run(dir: &Path, line: &str) -> (i32, String, String) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_convenio-audit"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let ran = Command::new("sh").args(["-c", line]).current_dir(dir).env("PATH", path).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code().unwrap_or(-1), text(&ran.stdout), text(&ran.stderr))
}

/// The id of the record at an index of a log of the pair.
pub fn record_id(pair: &Pair, node: usize, index: usize) -> String {
    hex::encode(convenio_seal::open_entry(&pair.nodes[node].log[index]).unwrap().statement.record_id)
}

#[test]
fn every_command_of_the_page_does_what_it_says() {
    let lines = commands(&page("auditor.md"));
    assert!(lines.len() >= 18 && lines.iter().any(|(_, code)| *code == 3), "{lines:#?}");
    let (pair, dir) = exported();
    let nomination = record_id(&pair, SV, 5);
    for (line, code) in lines {
        let line = line.replace("PLACEMENT", &format!("placements/{}", Ref([1; 16])));
        let line = line.replace("RECORD", &nomination).replace("ORIGIN", &origin(SV));
        let (found, out, complaint) = run(dir.path(), &line);
        assert_eq!(found, code, "{line}\n{out}{complaint}");
        assert_eq!(complaint, "", "{line}");
    }
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(read("claimed").starts_with("# NOT TRUST YET"));
    assert!(read("claimed").contains("root sv 1 "));
    assert!(read("informe.html").contains("lang=\"es\"") && read("informe.html").contains("Auditoría"));
    assert_eq!(read("heads").lines().filter(|line| line.starts_with("checkpoint node.")).count(), 2);
    assert!(read("figures-report.json").contains("\"code\": \"A20\""));
    let verdict = Envelope::parse(read("verdict/verdict.dsse.json").as_bytes()).unwrap();
    let verdict: Verdict = serde_json::from_slice(&verdict.payload).unwrap();
    assert_eq!((verdict.verdict, verdict.manifest_sha256.len()), (Outcome::Findings, 2));
}

#[test]
fn the_spanish_page_has_the_same_commands() {
    assert_eq!(commands(&page("auditor.md")), commands(&page("auditor.es.md")));
}

#[test]
fn what_a_bundle_claims_becomes_trust_only_by_its_lines() {
    let (pair, dir) = exported();
    let (_, claimed, _) = run(dir.path(), "convenio-audit trust export sv");
    let lines = |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let (mut claimed, mut published) =
        (lines(&claimed), lines(&format!("{}node sv node.sv.example\nnode ca node.ca.example\n", pair.trust())));
    claimed.sort();
    published.sort();
    assert_eq!(claimed, published);
}

#[test]
fn a_verdict_falls_with_what_it_is_about() {
    let (_, dir) = exported();
    let made = "convenio-audit key a && convenio-audit report sv ca --trust trust --out v --sign a.sk.pem --time 2026-05-01T00:00:00Z";
    assert_eq!(run(dir.path(), made).0, 3);
    assert_eq!(run(dir.path(), "cp -r v whole").0, 0);
    let check = "convenio-audit verdict check v --key a.pub";
    let (code, out, _) = run(dir.path(), check);
    assert!(code == 0 && out.contains("2026-05-01T00:00:00Z"), "{out}");
    assert!(out.contains("covers report.json, report.html, report.txt"), "{out}");
    for (change, reason) in [
        ("--bundle ca --bundle sv", "BUNDLES"),
        ("--trust sv/policy", "TRUST"),
        ("&& convenio-audit key b && convenio-audit verdict check v --key b.pub", "SIGNATURE"),
        ("&& echo >> v/report.html && convenio-audit verdict check v --key a.pub", "REPORT: report.html"),
        ("&& echo >> v/report.txt && convenio-audit verdict check v --key a.pub", "REPORT: report.txt"),
        ("&& echo >> v/report.json && convenio-audit verdict check v --key a.pub", "REPORT: report.json"),
    ] {
        assert_eq!(run(dir.path(), "cp -r whole/. v").0, 0);
        let (code, _, complaint) = run(dir.path(), &format!("{check} {change}"));
        assert!(code == 1 && complaint.contains(reason), "{change}: {complaint}");
    }
    assert_eq!(run(dir.path(), "convenio-audit key a").0, 2, "a key is never overwritten");
}

#[test]
fn a_verdict_of_the_first_form_covers_the_json_alone_and_says_so() {
    let (_, dir) = exported();
    let made = "convenio-audit key a && convenio-audit report sv ca --trust trust --out v --sign a.sk.pem";
    assert_eq!(run(dir.path(), made).0, 3);
    let file = dir.path().join("v/verdict.dsse.json");
    let signed = Envelope::parse(&std::fs::read(&file).unwrap()).unwrap();
    let key = SigningKey::load(&dir.path().join("a.sk.pem")).unwrap();
    let sign = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut said: serde_json::Value = serde_json::from_slice(&signed.payload).unwrap();
        change(&mut said);
        let envelope = Envelope::signed(VERDICT_TYPE, serde_json::to_vec(&said).unwrap(), &[&key]);
        std::fs::write(&file, envelope.to_json()).unwrap();
        run(dir.path(), "convenio-audit verdict check v --key a.pub")
    };
    let first = |said: &mut serde_json::Value| {
        said["format"] = "convenio-verdict/v1".into();
        let members = said.as_object_mut().unwrap();
        members.retain(|name, _| name != "html_sha256" && name != "text_sha256");
    };
    let (code, out, complaint) = sign(&first);
    assert!(code == 0 && out.trim_end().ends_with("covers report.json"), "{out}{complaint}");
    // One form does not pass for the other.
    let mixed: [&dyn Fn(&mut serde_json::Value); 3] = [
        &|said| said["format"] = "convenio-verdict/v1".into(),
        &|said| drop(said.as_object_mut().unwrap().remove("html_sha256")),
        &|said| said["format"] = "convenio-verdict/v3".into(),
    ];
    for change in mixed {
        let (code, _, complaint) = sign(change);
        assert!(code == 1 && complaint.contains("FORMAT"), "{complaint}");
    }
    std::fs::write(dir.path().join("v/report.html"), "another").unwrap();
    assert_eq!(sign(&first).0, 0);
    assert_eq!(sign(&|_| {}).0, 1);
}

#[test]
fn a_history_tells_each_act_with_its_decision() {
    let (_, dir) = exported();
    let line = format!("convenio-audit show sv ca --trust trust --output json --subject placements/{}", Ref([1; 16]));
    let shown: serde_json::Value = serde_json::from_str(&run(dir.path(), &line).1).unwrap();
    let records = shown["records"].as_array().unwrap();
    let mut acts: Vec<&str> = records.iter().map(|record| record["act"].as_str().unwrap()).collect();
    let mut expected: Vec<&str> = EMPLOYED.iter().map(|(_, act)| *act).chain(["contract_observed"]).collect();
    acts.sort_unstable();
    expected.sort_unstable();
    assert_eq!(acts, expected);
    assert!(
        records.iter().all(|record| record["outcome"] == "accepted" && record["erased_parts"] == 0),
        "{records:#?}"
    );
    let line = format!("convenio-audit replay sv --trust trust --output json --subject placements/{}", Ref([1; 16]));
    let state: serde_json::Value = serde_json::from_str(&run(dir.path(), &line).1).unwrap();
    assert_eq!(state[0]["origin"]["EMPLOYED"], 1);
    let known = &state[0]["subject"]["destination"];
    assert_eq!(
        (&known["state"], &known["agreed.contract.terms.wage_rate"]),
        (&"EMPLOYED".into(), &"1720 × 0.01 CAD".into()),
        "{known:#}"
    );
    let names = known.as_object().unwrap().keys();
    assert!(names.clone().all(|name| !name.contains("worker")), "{known:#}");
}

#[test]
fn the_past_is_rebuilt_as_its_issuer_could_know_it() {
    let (pair, dir) = exported();
    let placement = format!("placements/{}", Ref([1; 16]));
    let at = |point: &str| {
        let line = format!("convenio-audit replay sv ca --trust trust --output json --subject {placement} {point}");
        let (code, out, _) = run(dir.path(), &line);
        let state: serde_json::Value = serde_json::from_str(&out).unwrap_or_default();
        (code, state[0]["subject"]["origin"]["state"].as_str().unwrap_or_default().to_owned())
    };
    let log = &pair.nodes[SV].log;
    let statement = |index: usize| convenio_seal::open_entry(&log[index]).unwrap().statement;
    let acts: Vec<usize> = (0..log.len()).filter(|at| matches!(statement(*at).body, Some(Body::Record(_)))).collect();
    // The agency's licence is the first record, the nomination the second; nobody decided about it yet.
    let nomination = acts[1];
    let of = |size: usize| format!("--at-index {}={size}", origin(SV));
    assert_eq!(at(&of(nomination)), (1, String::new()));
    assert_eq!(at(&of(nomination + 1)).0, 0);
    assert_eq!(at(&of(log.len())), (0, "EMPLOYED".to_owned()));
    let time = convenio_audit::moment::rfc3339(statement(nomination).time_ms - 1);
    assert_eq!(at(&format!("--at-time {time}")), (1, String::new()));
    assert_eq!(at("--at-time 2030-01-01"), (0, "EMPLOYED".to_owned()));
    let time = convenio_audit::moment::rfc3339(statement(acts[2]).time_ms);
    assert_eq!(at(&format!("--at-time {time}")), (0, "OFFERED".to_owned()));
}

#[test]
fn exit_codes_tell_broken_from_unusable() {
    let (_, dir) = exported();
    assert_eq!(run(dir.path(), "convenio-audit report nowhere --trust trust").0, 2);
    assert_eq!(run(dir.path(), "convenio-audit report sv --trust sv/policy").0, 2);
    assert_eq!(run(dir.path(), "convenio-audit show sv --trust trust --subject placements/none").0, 1);
    std::fs::write(dir.path().join("sv/policy"), "nothing").unwrap();
    for question in
        ["verify sv", "report sv ca", "replay sv", "checkpoint print sv", "show sv --subject placements/none"]
    {
        assert_eq!(run(dir.path(), &format!("convenio-audit {question} --trust trust")).0, 1, "{question}");
    }
}
