//! The twenty answers and their renderings.

use convenio_agreement::act::Refusal;
use convenio_audit::language::Language;
use convenio_audit::{Answer, Answered, Asked, Figures, Gravity, QUESTIONS, Report, compare, report_as};
use convenio_log::cosignature;
use convenio_model::Ref;
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{Erase, EraseAnswer};
use tempfile::TempDir;

use crate::export::{draft, folder};
use crate::findings::{EMPLOYED, opened};
use crate::integrity::{job, season, story, trust};
use crate::pair::{CA, Named, Pair, SV, node_name, origin};
use crate::records::Job;

/// The report of both bundles.
fn both(pair: &Pair, asked: &Asked) -> Report {
    let (sv, ca) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    draft(pair, SV).write(pair, sv.path());
    draft(pair, CA).write(pair, ca.path());
    report_as(sv.path(), Some(ca.path()), &trust(pair), asked).unwrap()
}

fn of<'r>(report: &'r Report, code: &str) -> &'r Answer {
    report.answers.iter().find(|answer| answer.code == code).unwrap()
}

fn kinds(report: &Report, kind: Answered) -> Vec<&str> {
    report.answers.iter().filter(|answer| answer.answer == kind).map(|answer| answer.code).collect()
}

/// A season with a contract observed to be worse than agreed.
fn substituted() -> Pair {
    let one = job(1, Some(Ref([100; 16])));
    let mut pair = opened(&one);
    season(&mut pair, &one, &EMPLOYED);
    season(&mut pair, &Job { wage_cents: 1400, ..one }, &[(SV, "contract_observed")]);
    pair
}

/// Against the schema that programs read.
fn assert_valid(report: &Report) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/report.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let found: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&found).map(|e| format!("{}: {e}", e.instance_path)).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut broken = found;
    broken["answers"][0]["answer"] = "MAYBE".into();
    assert!(!validator.is_valid(&broken));
}

#[test]
fn a_season_by_the_rules_answers_each_question() {
    let one = job(1, Some(Ref([100; 16])));
    let mut pair = opened(&one);
    season(&mut pair, &one, &EMPLOYED);
    let found = both(&pair, &Asked::default());
    let codes: Vec<&str> = found.answers.iter().map(|answer| answer.code).collect();
    assert_eq!(codes, QUESTIONS);
    assert_eq!(kinds(&found, Answered::Finding), [""; 0], "{:#?}", found.findings);
    assert_eq!(kinds(&found, Answered::Indeterminate), [""; 0]);
    // No rows, no journal, no fee in the pack, no consent that crosses, no figures.
    assert_eq!(kinds(&found, Answered::NotRecorded), ["A7", "A12", "A15", "A17", "A20"]);
    assert!(of(&found, "A16").examined > 12 && of(&found, "A14").examined > 12);
    assert!(found.answers.iter().all(|answer| answer.recorder.is_some() == (answer.answer == Answered::NotRecorded)));
    assert_eq!(of(&found, "A1").examined, (pair.nodes[SV].log.len() + pair.nodes[CA].log.len()) as u64);
    assert_eq!((of(&found, "A10").examined, of(&found, "A17").examined), (1, 1));
    assert_eq!(found.limits[0].code, "COLLUSION_NOT_EXCLUDED");
    assert!(!found.has_findings() && found.integrity);
    assert_valid(&found);
}

#[test]
fn a_substitution_is_the_answer_to_its_question_alone() {
    let pair = substituted();
    let found = both(&pair, &Asked::default());
    assert_eq!(kinds(&found, Answered::Finding), ["A13"]);
    let answer = of(&found, "A13");
    assert_eq!((answer.failed, answer.gravity, answer.evidence_total), (1, Some(Gravity::Grave), 2));
    let origins: Vec<&str> = answer.evidence.iter().map(|place| place.origin.as_str()).collect();
    assert_eq!(origins, [origin(CA), origin(SV)]);
    assert!(answer.criterion.contains("terms_not_worse"));
    assert_valid(&found);
}

#[test]
fn one_bundle_cannot_tell_whether_both_match() {
    let pair = story();
    let dir = TempDir::new().unwrap();
    draft(&pair, SV).write(&pair, dir.path());
    let found = report_as(dir.path(), None, &trust(&pair), &Asked::default()).unwrap();
    assert_eq!(of(&found, "A6").answer, Answered::NotRecorded);
    assert!(of(&found, "A6").recorder.as_ref().unwrap().contains("second bundle"));
    assert_valid(&found);
}

#[test]
fn repro_two_bundles_of_one_exporter_are_not_two_stories() {
    let pair = story();
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    draft(&pair, SV).write(&pair, one.path());
    draft(&pair, SV).write(&pair, other.path());
    let compared = compare(one.path(), other.path(), &trust(&pair)).unwrap();
    assert!(!compared.holds);
    let reasons: Vec<&str> = compared.problems.iter().map(|problem| problem.reason).collect();
    assert_eq!(reasons, ["SAME_EXPORTER"]);
    let found = report_as(one.path(), Some(other.path()), &trust(&pair), &Asked::default()).unwrap();
    assert!(!found.integrity);
    assert_eq!(kinds(&found, Answered::NotRecorded), ["A6"]);
    assert_eq!(kinds(&found, Answered::Finding), [""; 0]);
    assert_valid(&found);
}

#[test]
fn repro_a_report_does_not_depend_on_where_its_bundles_lie() {
    let pair = substituted();
    let render = || {
        let (sv, ca) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        draft(&pair, SV).write(&pair, sv.path());
        draft(&pair, CA).write(&pair, ca.path());
        let found = report_as(sv.path(), Some(ca.path()), &trust(&pair), &Asked::default()).unwrap();
        (found.json(), found.html(), found.text())
    };
    assert_eq!(render(), render());
}

/// A cosignature in the name of a mirror that the partner's roots never authorised, at a time of its own.
fn stranger(pair: &mut Pair, node: usize, size: u64, seconds: u64) {
    let mut signed = pair.nodes[node].cosigned.get(&size).cloned().unwrap_or_else(|| pair.head(node, size));
    let mirror = Named(format!("{}/mirror/7", node_name(1 - node)), &pair.nodes[node].keys.mirror);
    cosignature::append(&mut signed, &mirror, seconds).unwrap();
    pair.nodes[node].cosigned.insert(size, signed);
}

#[test]
fn repro_only_cosignatures_that_verify_tell_times() {
    // Lateness is not hidden by a line that says it was early.
    let mut late = story();
    late.act(SV, &job(1, None), "documented").unwrap();
    let index = late.nodes[SV].log.len() as u64 - 1;
    late.pass(30);
    late.sync();
    late.nodes[SV].cosigned.retain(|size, _| *size <= index || *size == index + 1);
    for forged in [false, true] {
        if forged {
            stranger(&mut late, SV, index + 1, 1);
        }
        let found = both(&late, &Asked::default());
        let answer = of(&found, "A14");
        assert_eq!((answer.answer, answer.failed), (Answered::Finding, 1), "{forged}: {answer:#?}");
        assert_eq!((&*answer.evidence[0].origin, answer.evidence[0].index), (&*origin(SV), index));
    }
    // Nor is it made by one that says it is long after.
    let mut fresh = story();
    fresh.act(SV, &job(1, None), "documented").unwrap();
    assert_eq!(of(&one(&fresh), "A14").answer, Answered::Ok);
    let size = fresh.nodes[SV].log.len() as u64;
    stranger(&mut fresh, SV, size, 4_070_908_800);
    let found = one(&fresh);
    assert_eq!(of(&found, "A14").answer, Answered::Ok, "{:#?}", of(&found, "A14"));
}

/// The report of El Salvador's bundle alone.
fn one(pair: &Pair) -> Report {
    let dir = TempDir::new().unwrap();
    draft(pair, SV).write(pair, dir.path());
    let found = report_as(dir.path(), None, &trust(pair), &Asked::default()).unwrap();
    assert!(found.integrity, "{:#?}", found.bundles);
    found
}

#[test]
fn what_is_erased_is_indeterminate_and_never_guessed() {
    let one = job(1, None);
    let mut pair = opened(&one);
    season(&mut pair, &one, &EMPLOYED[..4]);
    let published = r#"{"format":"convenio-figures/v1","figures":[{"name":"records","value":RECORDS},{"name":"act.nominate","value":1}]}"#;
    let published = published.replace("RECORDS", &of(&both(&pair, &Asked::default()), "A8").examined.to_string());
    let asked = Asked { figures: Some(Figures::parse(published.as_bytes()).unwrap()), ..Asked::default() };
    assert_eq!((of(&both(&pair, &asked), "A20").answer, of(&both(&pair, &asked), "A20").examined), (Answered::Ok, 2));
    // The nomination's parts go, by an ERASE of each.
    let index = pair.nodes[SV].parts.keys().copied().next_back().unwrap();
    let first = pair.nodes[SV].parts.keys().copied().find(|at| pair.nodes[SV].parts[at].parts.len() == 2).unwrap();
    assert!(first <= index);
    let record_id = convenio_seal::open_entry(&pair.nodes[SV].log[first as usize]).unwrap().statement.record_id;
    for part in 0..2 {
        let erase = Erase { record_id: record_id.clone(), part, ground: "subject-request".into() };
        pair.append(SV, Body::Erase(erase), Vec::new());
    }
    pair.sync();
    pair.nodes[SV].parts.remove(&first);
    let found = both(&pair, &asked);
    assert!(found.integrity, "{:#?}", found.comparison);
    assert!(found.erased > 0);
    assert_eq!((of(&found, "A20").indeterminate, of(&found, "A20").failed), (1, 0), "{:#?}", of(&found, "A20"));
    for code in ["A8", "A9", "A16", "A20"] {
        let answer = of(&found, code);
        assert_eq!(answer.answer, Answered::Indeterminate, "{code}: {answer:?}");
        assert!(answer.indeterminate > 0 && answer.failed == 0);
    }
    assert_valid(&found);
}

#[test]
fn an_order_to_erase_is_answered_in_time_or_found() {
    let mut pair = story();
    let index = *pair.nodes[SV].parts.keys().next().unwrap();
    let record_id = convenio_seal::open_entry(&pair.nodes[SV].log[index as usize]).unwrap().statement.record_id;
    let erase = Erase { record_id: record_id.clone(), part: 0, ground: "subject-request".into() };
    pair.append(SV, Body::Erase(erase), Vec::new());
    let ordered = pair.nodes[SV].log.len() as u64 - 1;
    pair.sync();
    let found = both(&pair, &Asked::default());
    assert_eq!(of(&found, "A18").answer, Answered::Ok, "{:#?}", of(&found, "A18"));
    // The pack grants thirty days.
    pair.pass(31);
    let mut answered = pair;
    answered.deliver(CA);
    let found = both(&answered, &Asked::default());
    let answer = of(&found, "A18");
    assert_eq!((answer.answer, answer.failed, answer.gravity), (Answered::Finding, 1, Some(Gravity::Serious)));
    assert_eq!((&*answer.evidence[0].origin, answer.evidence[0].index), (&*origin(SV), ordered));
    // An answer that comes too late is found as well.
    let late = EraseAnswer { record_id, part: 0, answer: "REFUSED".into(), reason: "hold".into() };
    answered.append(CA, Body::EraseAnswer(late), Vec::new());
    answered.sync();
    let found = both(&answered, &Asked::default());
    assert_eq!((of(&found, "A18").answer, of(&found, "A18").failed), (Answered::Finding, 1));
    assert_valid(&found);
}

#[test]
fn a_broken_bundle_answers_only_for_the_evidence() {
    let pair = story();
    let dir = TempDir::new().unwrap();
    draft(&pair, SV).write(&pair, dir.path());
    let tile = dir.path().join(folder(SV)).join("checkpoint");
    std::fs::write(&tile, b"nothing").unwrap();
    let found = report_as(dir.path(), None, &trust(&pair), &Asked::default()).unwrap();
    assert!(!found.integrity && found.findings.is_empty());
    assert_eq!(kinds(&found, Answered::Finding), ["A1"]);
    assert_eq!(kinds(&found, Answered::NotRecorded), ["A6"]);
    assert_eq!(found.summary.indeterminate, 18);
    assert_valid(&found);
}

#[test]
fn published_figures_are_counted_again() {
    let pair = substituted();
    let figures = |text: &str| {
        let json = format!("{{\"format\":\"convenio-figures/v1\",\"figures\":[{text}]}}");
        Asked { figures: Some(Figures::parse(json.as_bytes()).unwrap()), ..Asked::default() }
    };
    let good = r#"{"name":"placements","value":1},{"name":"state.EMPLOYED","value":1},{"name":"act.departed","value":0,"rounded_to":5}"#;
    let found = both(&pair, &figures(good));
    assert_eq!((of(&found, "A20").answer, of(&found, "A20").examined), (Answered::Ok, 3));
    let found = both(&pair, &figures(r#"{"name":"placements","value":2}"#));
    assert_eq!(of(&found, "A20").answer, Answered::Finding);
    assert!(of(&found, "A20").condition.contains("placements: 2 ≠ 1"), "{}", of(&found, "A20").condition);
    assert_valid(&found);
}

#[test]
fn a_gate_that_refused_is_told_in_every_language_and_rendering() {
    let one = job(1, None);
    let mut pair = opened(&one);
    pair.act(SV, &one, "nominate").unwrap();
    pair.deliver(SV);
    let index = pair.nodes[SV].log.len() as u64;
    pair.outcome(CA, index - 1, index, &[(index - 1, Refusal::Sequence)]);
    for (language, word) in
        [(Language::English, "were rejected"), (Language::Spanish, "rechazados"), (Language::French, "rejetés")]
    {
        let dir = TempDir::new().unwrap();
        draft(&pair, CA).write(&pair, dir.path());
        let asked = Asked { language, ..Asked::default() };
        let found = report_as(dir.path(), None, &trust(&pair), &asked).unwrap();
        assert_valid(&found);
        let (text, html, json) = (found.text(), found.html(), found.json());
        for rendered in [&text, &html, &json] {
            assert!(rendered.contains(word), "{language}: {rendered}");
            for question in QUESTIONS {
                assert!(rendered.contains(question), "{language} {question}");
            }
            // A key that stands where its text should is a key that no catalogue has.
            for key in ["-ok", "-rule", "label-", "answer-not", "condition-", "limit-", "gravity-"] {
                let shown = rendered.lines().filter(|line| {
                    line.split([' ', '>', '<', '"'])
                        .any(|word| word.starts_with('A') && word.ends_with(key) || word.starts_with(key))
                });
                assert_eq!(shown.count(), usize::from(false), "{language} {key}");
            }
        }
        assert_page(&html, language);
    }
}

/// The page stands alone and says what it is to whoever cannot see it.
fn assert_page(html: &str, language: Language) {
    assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"") && html.contains(&format!("lang=\"{language}\"")));
    for foreign in ["<script", "http://", "https://", "src=", "href=", "url(", "@import", "javascript:", "<link"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert_eq!(html.matches("<table>").count(), html.matches("<caption>").count());
    assert_eq!(html.matches("<svg role=\"img\"").count(), html.matches("<title id=\"chart-title\">").count());
    for tag in ["table", "thead", "tbody", "section", "svg", "main", "ul", "li", "tr", "td", "th"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert_eq!(html.matches("<h1>").count(), 1);
    // Headings descend by one; whoever scrolls by keys reaches every wide table; each row and column has a header.
    let levels: Vec<u32> = html.split("<h").skip(1).filter_map(|rest| rest.chars().next()?.to_digit(10)).collect();
    assert!(levels[0] == 1 && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    let reached = "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"";
    assert!(html.matches(reached).count() == html.matches("<table>").count() && html.contains(":focus-visible"));
    assert_eq!(html.matches("<th").count() - html.matches("<thead>").count(), html.matches("<th scope=").count());
    let rows = html.split("<tr>").skip(1);
    assert!(rows.into_iter().all(|row| row.starts_with("<th scope=")), "a row without a header");
    // The chart tells by shape and in words what it tells by colour.
    let chart = html.matches("<svg ").count();
    assert_eq!(chart, 1);
    assert_eq!(chart, html.matches("aria-describedby=\"chart-legend\"").count());
    assert_eq!(chart, html.matches("<p id=\"chart-legend\">").count());
    assert!(html.contains("color-scheme: light") && !html.contains("prefers-color-scheme"), "another scheme to check");
    let style = html.split_once("</style>").unwrap().0;
    for text in style.split(" color: #").skip(1).chain(html.split("\" fill=\"#").skip(1)) {
        let colour = text.split([';', '"', ' ']).next().unwrap();
        if colour != "fff" {
            for ground in ["ffffff", "f0f0f0"] {
                assert!(contrast(colour, ground) >= 4.5, "#{colour} on #{ground}");
            }
        }
    }
}

/// Contrast of two colours (WCAG 2.2 §1.4.3).
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let linear = |at: usize| {
            let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(0) + 0.7152 * linear(2) + 0.0722 * linear(4)
    };
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn a_page_shows_hostile_texts_as_text() {
    let mut found = both(&story(), &Asked::default());
    found.answers[0].condition = "<script>alert(1)</script> & \"x\"".into();
    let html = found.html();
    assert!(!html.contains("<script>") && html.contains("&#60;script&#62;"), "{html}");
}

/// A pack whose personal parts are kept for some months after the end, whoever asks.
fn keeping(months: u32) -> convenio_agreement::Pack {
    let mut files = convenio_agreement::digest::Files::default();
    for (path, bytes) in crate::pair::pack().files().iter() {
        let mut bytes = bytes.to_vec();
        if path.ends_with("north_south.toml") {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains("minimum_months = 0"));
            bytes = text.replace("minimum_months = 0", &format!("minimum_months = {months}")).into_bytes();
        }
        files.insert(path, bytes).unwrap();
    }
    convenio_agreement::Pack::from_files(files).unwrap()
}

#[test]
fn what_is_erased_before_its_minimum_retention_is_found() {
    for (months, days, early) in [(0, 0, false), (12, 0, true), (12, 364, true), (12, 367, false)] {
        let one = job(1, None);
        let mut pair = Pair::seeded(keeping(months), 11);
        pair.order(&one);
        pair.sync();
        // The placement ends: the destination declines.
        season(&mut pair, &one, &[(SV, "nominate"), (CA, "decline")]);
        // The person's own part of the nomination goes; what says that there was one stays.
        let index =
            pair.nodes[SV].parts.iter().find(|(_, held)| held.parts.len() == 2).map(|(index, _)| *index).unwrap();
        let record_id = convenio_seal::open_entry(&pair.nodes[SV].log[index as usize]).unwrap().statement.record_id;
        pair.pass(days);
        pair.append(SV, Body::Erase(Erase { record_id, part: 1, ground: "subject-request".into() }), Vec::new());
        pair.nodes[SV].parts.get_mut(&index).unwrap().parts[1] = Default::default();
        pair.sync();
        let found = both(&pair, &Asked::default());
        assert!(found.integrity, "{:#?}", found.comparison);
        let told: Vec<_> = found.findings.iter().filter(|f| f.code == "ERASED_TOO_EARLY").collect();
        assert_eq!(told.len(), usize::from(early), "{months} {days}: {:#?}", found.findings);
        if let [told] = told[..] {
            assert_eq!((told.criterion, &*told.places[0].origin, told.places[0].index), ("A18", &*origin(SV), index));
            assert_eq!((of(&found, "A18").answer, of(&found, "A18").failed), (Answered::Finding, 1));
            assert_valid(&found);
        }
    }
}
