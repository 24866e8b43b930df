//! From a draft to in force: the page for ministries on real processes, and the same by files alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use convenio_agreement::Pack;
use convenio_faultproxy::FaultProxy;
use convenio_model::Ref;
use convenio_testkit::acts::reference;
use convenio_testkit::calls::Caller;
use convenio_testkit::drill;
use convenio_testkit::nodes::{act_once, integration};
use convenio_testkit::process::NodeProcess;
use convenio_testkit::records;
use convenio_testkit::site::{Site, now};
use convenio_testkit::treaty;
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use super::state::{done, refused};

/// A second agreement between the states.
const TWO: &str = treaty::SECOND;
/// What it adds to sv-ca: who signs off.
const SIGN_OFF: &str = "\n[sign_off.sv]\noffices = [\"mre\", \"mtps\"]\nk = 2\nmust = [\"mre\"]\n\
                        [sign_off.ca]\noffices = [\"esdc\", \"ircc\"]\nk = 1\nmust = [\"esdc\"]\n";

fn convenio() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_convenio"))
}

/// Writes a draft of the second agreement: offices sign off, and one point of the policy basis is missing.
fn write_draft(dir: &Path) {
    treaty::second().files().write_to(dir).unwrap();
    let path = dir.join("agreements").join(TWO).join("agreement.toml");
    let text = fs::read_to_string(&path).unwrap() + SIGN_OFF;
    let uncertain = "workers_consulted = { status = \"uncertain\"";
    assert!(text.contains(uncertain));
    fs::write(path, text.replace(uncertain, "workers_consulted = { status = \"missing\"")).unwrap();
}

/// Two nodes under sv-ca, each a process in its folder.
struct Played {
    site: Site,
    nodes: [Option<NodeProcess>; 2],
    proxies: [FaultProxy; 2],
    negotiation: String,
    _dir: tempfile::TempDir,
}

impl Played {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::make(dir.path(), 71);
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let proxies = [FaultProxy::start(nowhere).await.unwrap(), FaultProxy::start(nowhere).await.unwrap()];
        site.configure("sv", proxies[1].addr(), "info");
        site.configure("ca", proxies[0].addr(), "info");
        for party in [&site.treaty.origin, &site.treaty.destination] {
            let own = site.path(&party.party);
            drill::write_roots(party, &own.join("root")).unwrap();
            let manifest = party.keys.manifest(&party.party, &party.node, 1);
            fs::write(own.join("keys/manifest.binpb"), prost::Message::encode_to_vec(&manifest)).unwrap();
            let uri = format!("spiffe://{0}.example/ministry/{0}", party.party);
            let ministry = site.certificate(&party.party, &uri);
            fs::write(own.join("tls/ministry.pem"), &ministry.certificate).unwrap();
            fs::write(own.join("tls/ministry.sk.pem"), &ministry.key).unwrap();
        }
        write_draft(&site.path("sv").join("draft"));
        let mut played = Self { site, nodes: [None, None], proxies, negotiation: String::new(), _dir: dir };
        played.restart(1).await;
        played.restart(0).await;
        played
    }

    async fn restart(&mut self, at: usize) {
        if let Some(node) = self.nodes[at].take() {
            kill_process(Pid::from_raw(i32::try_from(node.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
            node.ended().await.unwrap();
        }
        let node = NodeProcess::start(&convenio(), &self.site.path(["sv", "ca"][at])).await.unwrap();
        self.proxies[at].retarget(node.address);
        self.nodes[at] = Some(node);
    }

    fn address(&self, at: usize) -> String {
        self.nodes[at].as_ref().unwrap().address.to_string()
    }

    fn calls(&self, at: usize) -> Caller {
        integration(&self.site, ["sv", "ca"][at], self.nodes[at].as_ref().unwrap().address)
    }

    /// Runs one line of the page in a state's folder.
    async fn line(&mut self, at: usize, line: &str) {
        if line == "systemctl restart convenio" {
            return self.restart(at).await;
        }
        let line = line.replace("NODE-OF-EL-SALVADOR", &self.address(0)).replace("NODE-OF-CANADA", &self.address(1));
        let line = line.replace("NEGOTIATION", &self.negotiation);
        let path = format!("{}:{}", convenio().parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(self.site.path(["sv", "ca"][at]));
        command.env("PATH", path).env_remove("RUST_LOG");
        let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
        let said = String::from_utf8(ran.stdout).unwrap();
        if line.contains("agreement fetch") && self.negotiation.is_empty() {
            let listed: Vec<_> = said.split_whitespace().collect();
            assert_eq!(&listed[1..], [TWO, "ca,", "sv", "OPEN", "1", "steps"], "{said}");
            self.negotiation = listed[0].to_owned();
        }
        if line.contains("agreement status") {
            assert!(said.contains("> nine-months-of-notice") && said.contains("initialled by ca, OPEN"), "{said}");
        }
    }

    /// A placement under the second agreement that crosses, is answered, and crosses again.
    async fn placement(&self) {
        let (sv, ca) = (self.calls(0), self.calls(1));
        let pack = Pack::load(&self.site.dir.join("agreements"), TWO).unwrap();
        let id = |what: &str| reference(&format!("two {what}")).to_string();
        let employer = registry::CreateEmployerRequest {
            employer: Some(registry::Employer { eligible: true, ..records::employer() }),
            employer_id: id("employer"),
            request_id: id("request employer"),
        };
        let employer = until(async || ca.create_employer(employer.clone()).await).await.name;
        let order = records::job_order(&pack, Ref::default(), 3, true);
        let order = registry::CreateJobOrderRequest {
            job_order: Some(registry::JobOrder { name: String::new(), employer, ..order }),
            job_order_id: id("order"),
            request_id: id("request order"),
        };
        let order = until(async || ca.create_job_order(order.clone()).await).await.name;
        let time = u64::try_from(now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let given_time_ms = time.cast_signed();
        let consent = registry::Consent { agreement: TWO.into(), given_time_ms, withdrawn_time_ms: 0 };
        let worker = registry::CreateWorkerRequest {
            worker: Some(registry::Worker {
                name: String::new(),
                consents: vec![consent],
                ..records::worker(Ref::default())
            }),
            worker_id: id("worker"),
            request_id: id("request worker"),
        };
        let worker = until(async || sv.create_worker(worker.clone()).await).await.name;
        let placement = registry::CreatePlacementRequest {
            placement: Some(registry::Placement {
                agreement: TWO.into(),
                worker,
                job_order: order,
                recruiter_kind: value::RecruiterKind::PublicEmploymentService.into(),
                return_offer_shown: true,
                ..Default::default()
            }),
            placement_id: id("placement"),
            request_id: id("request placement"),
        };
        let name = until(async || sv.create_placement(placement.clone()).await).await.name;
        // Each waits for the record of the one before to have crossed.
        for act in ["preselect", "nominate", "offer", "identified"] {
            until(async || act_once(&sv, &ca, &name, act, time).await).await;
        }
    }
}

/// Calls again until it is done: what it needs is on its way.
async fn until<T>(call: impl AsyncFn() -> Result<T, tonic::Status>) -> T {
    let mut last = None;
    for _ in 0..600 {
        match call().await {
            Ok(answer) => return answer,
            Err(status) => last = Some(status),
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{last:?}");
}

/// The commands of the page: whose folder, and the line.
fn commands(page: &str) -> Vec<(usize, String)> {
    let mut at = None;
    let blocks = page.split("```sh\n").skip(1).flat_map(|block| block.split("```").next().unwrap().lines());
    let commands = blocks.filter_map(|line| match line {
        "# El Salvador" => {
            at = Some(0);
            None
        }
        "# Canada" => {
            at = Some(1);
            None
        }
        line => Some((at.expect("the page says whose command it is"), line.to_owned())),
    });
    commands.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_page_about_agreements_does_what_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/docs/agreements.md");
    let commands = commands(&fs::read_to_string(page).unwrap());
    assert!(commands.len() >= 40, "{commands:#?}");
    let mut played = Played::start().await;
    for (at, line) in commands {
        played.line(at, &line).await;
    }
    played.placement().await;
    let book = played.site.path("sv").join("two");
    let status = done(&format!("agreement status --dir {} --trust {}", book.display(), played.site.trust().display()));
    assert!(status.contains("state       INITIALLED"), "{status}");
    assert_eq!(status.matches("ratified    ").count(), 2, "{status}");
    played.nodes = [None, None];
    // The audit counts both ratifications with their sign-offs.
    drill::check(&played.site).await.unwrap();
}

/// The offices of both states with the trust file that names them, and El Salvador's draft. No node and no link.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        let d = desk.dir.path().display();
        for (party, offices) in [("sv", ["mre", "mtps"]), ("ca", ["esdc", "ircc"])] {
            for office in offices {
                done(&format!("agreement office-key --party {party} --office {office} --dir {d}/{party}"));
            }
            done(&format!("root init --party {party} --dir {d}/root-{party}"));
        }
        write_draft(&desk.dir.path().join("draft"));
        let digest = done(&desk.with("agreement digest --agreements DIR/draft/agreements --id sv-ca-two"));
        done(&desk.with(&format!(
            "trust --agreement sv-ca-two={} --root DIR/root-sv --root DIR/root-ca --office DIR/sv/mre.office \
             --office DIR/sv/mtps.office --office DIR/ca/esdc.office --out DIR/trust",
            digest.trim()
        )));
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn with(&self, line: &str) -> String {
        line.replace("DIR", &self.dir.path().display().to_string())
    }

    fn done(&self, line: &str) -> String {
        done(&self.with(line))
    }

    fn refused(&self, line: &str) -> String {
        refused(&self.with(line))
    }

    fn propose(&self) {
        self.done(
            "agreement propose --agreements DIR/draft/agreements --id sv-ca-two --dir DIR/neg-sv --key DIR/sv/mre.sk.pem \
             --trust DIR/trust",
        );
    }

    /// Takes the folder of `from` to the other side on a stick.
    fn carry(&self, from: &str, to: &str) -> String {
        self.done(&format!("agreement import --dir DIR/neg-{to} --from DIR/neg-{from} --trust DIR/trust"))
    }
}

#[test]
fn without_a_link_files_alone_bring_an_agreement_to_its_ratifications() {
    let desk = Desk::new();
    desk.propose();
    assert!(desk.carry("sv", "ca").starts_with("1 new\n"));
    desk.done("agreement initial --dir DIR/neg-ca --key DIR/ca/esdc.sk.pem --trust DIR/trust");
    desk.carry("ca", "sv");
    desk.done("agreement initial --dir DIR/neg-sv --key DIR/sv/mre.sk.pem --trust DIR/trust");
    assert!(desk.carry("sv", "ca").contains("state       INITIALLED"));
    assert!(desk.carry("sv", "ca").starts_with("0 new\n"), "what is carried twice is there once");

    let sign = |party: &str, rest: &str| {
        format!(
            "agreement sign --agreements DIR/draft/agreements --id sv-ca-two --root DIR/root-{party} --node \
             node.{party}.example --out DIR/neg-{party}/ratifications/{party}.dsse.json {rest}"
        )
    };
    let off = |party: &str, office: &str| {
        desk.done(&format!(
            "agreement sign-off --agreements DIR/draft/agreements --id sv-ca-two --key DIR/{party}/{office}.sk.pem \
             --out DIR/off-{party}/{office}.dsse.json"
        ));
    };
    // What is missing is acknowledged, and every office that must agree has agreed, or nothing is signed.
    assert!(desk.refused(&sign("sv", "")).contains("policy_basis.workers_consulted is missing"));
    let acknowledged = |party: &str| {
        sign(party, &format!("--sign-offs DIR/off-{party} --trust DIR/trust --acknowledge workers_consulted"))
    };
    off("sv", "mtps");
    assert!(desk.refused(&acknowledged("sv")).contains("SIGN_OFF: sv-ca-two by sv would not count: the office `mre`"));
    off("sv", "mre");
    desk.done(&acknowledged("sv"));
    // An office whose key no trust file names does not count.
    off("ca", "ircc");
    assert!(desk.refused(&acknowledged("ca")).contains("by no key that the trust file names"));
    fs::remove_file(desk.path("off-ca/ircc.dsse.json")).unwrap();
    off("ca", "esdc");
    desk.done(&acknowledged("ca"));
    desk.carry("ca", "sv");
    let status = desk.done("agreement status --dir DIR/neg-sv --trust DIR/trust");
    assert!(status.contains(" by sv\n") && status.contains(" by ca\n"), "{status}");
    assert_eq!(status.matches("ratified    ").count(), 2, "{status}");
}

#[test]
fn a_stick_is_believed_in_nothing() {
    let desk = Desk::new();
    desk.propose();
    // A file that is not what its name says is not there.
    let files = fs::read_dir(desk.path("neg-sv/files")).unwrap().map(|file| file.unwrap().path());
    let toml =
        files.max_by_key(|path| fs::read_to_string(path).map_or(0, |t| usize::from(t.contains("[sign_off.sv]"))));
    let toml = toml.unwrap();
    let kept = fs::read(&toml).unwrap();
    fs::write(&toml, [b"# ".as_slice(), &kept].concat()).unwrap();
    let import = "agreement import --dir DIR/neg-ca --from DIR/neg-sv --trust DIR/trust";
    assert!(desk.refused(import).contains("FILES_MISSING"));
    assert!(!desk.path("neg-ca").exists(), "nothing of a refused act is written");
    fs::write(&toml, kept).unwrap();
    // An act of an office whose key the trust file does not name.
    let forged = "agreement propose --agreements DIR/draft/agreements --id sv-ca-two --dir DIR/other --key \
                  DIR/ca/ircc.sk.pem --trust DIR/trust";
    assert!(desk.refused(forged).contains("UNKNOWN_OFFICE"));
    desk.done(import);
    let act = fs::read_dir(desk.path("neg-sv/acts")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&act).unwrap();
    let at = text.find("\"sig\": \"").unwrap() + 8;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    fs::write(&act, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    assert!(desk.refused(import).contains("UNKNOWN_OFFICE"));
}

#[test]
fn a_chain_that_forks_is_shown_and_answered_by_name() {
    let desk = Desk::new();
    desk.propose();
    desk.carry("sv", "ca");
    let comment = |dir: &str, note: &str| {
        format!("agreement comment --dir DIR/{dir} --key DIR/ca/esdc.sk.pem --trust DIR/trust --note {note}")
    };
    desk.carry("sv", "copy");
    desk.done(&comment("neg-ca", "one"));
    desk.done(&comment("neg-copy", "other"));
    desk.carry("ca", "sv");
    let status = desk.carry("copy", "sv");
    assert!(
        status.contains("FORK        several acts of step 2") && status.contains("> one") && status.contains("> other")
    );
    let reject = "agreement reject --dir DIR/neg-sv --key DIR/sv/mre.sk.pem --trust DIR/trust";
    assert!(desk.refused(reject).contains("the chain forks"));
    let hash = status.lines().find(|line| line.starts_with("   2  ")).unwrap().split_whitespace().nth(1).unwrap();
    let withdraw = desk.with("agreement withdraw --dir DIR/neg-sv --key DIR/sv/mre.sk.pem --trust DIR/trust");
    assert!(done(&format!("{withdraw} --on {hash}")).contains("step 3"));
    // Of the other branch the negotiation goes on.
    assert!(desk.done("agreement status --dir DIR/neg-sv --trust DIR/trust").contains("state       OPEN"));
}
