use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use convenio_agreement::plan::{Root, Sources};
use convenio_agreement::{Pack, PackError};
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;
use prost::Message;
use prost_reflect::{DynamicMessage, Value};

pub const PACKAGE: &str = "agreements.sv_ca.v1";
pub const CANARY: &str = "CANARY-NEVER-CROSSES";

/// The packs of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/agreements")
}

/// Folder of [`sv_ca`], in a tree with all that it imports.
pub fn agreements() -> PathBuf {
    static TREE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packs/agreements/sv-ca");
        let tree = tempfile::tempdir().unwrap();
        let (dir, folder) = (tree.path(), tree.path().join("agreements"));
        Pack::load(&repository(), "sv-ca").unwrap().files().write_to(dir).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir_all(folder.join("sv-ca")).unwrap();
        for file in ["agreement.toml", "sv_ca.proto"] {
            fs::copy(own.join(file), folder.join("sv-ca").join(file)).unwrap();
        }
        tree
    });
    TREE.path().join("agreements")
}

/// A pack whole in one `agreement.toml` and one `.proto`, so that tests can change any of it: the repository's sv-ca as it
/// was before it came to share with others.
pub fn sv_ca() -> Pack {
    static PACK: LazyLock<Pack> = LazyLock::new(|| Pack::load(&agreements(), "sv-ca").unwrap());
    PACK.clone()
}

pub fn name(short: &str) -> String {
    format!("{PACKAGE}.{short}")
}

/// A copy of sv-ca in which `old`, which must be there, is replaced in one file, once.
pub struct Copy {
    dir: tempfile::TempDir,
}

impl Copy {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        sv_ca().files().write_to(dir.path()).unwrap();
        Self { dir }
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn edit(self, file: &str, old: &str, new: &str) -> Self {
        let path = self.dir.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} does not contain {old}");
        fs::write(&path, text.replacen(old, new, 1)).unwrap();
        self
    }

    /// Writes a whole file.
    pub fn write(self, file: &str, text: &str) -> Self {
        let path = self.dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dir.path().join(file)).unwrap()
    }

    pub fn toml(self, old: &str, new: &str) -> Self {
        self.edit("agreements/sv-ca/agreement.toml", old, new)
    }

    pub fn proto(self, old: &str, new: &str) -> Self {
        self.edit("agreements/sv-ca/sv_ca.proto", old, new)
    }

    pub fn load(&self) -> Result<Pack, PackError> {
        Pack::load(&self.dir.path().join("agreements"), "sv-ca")
    }
}

pub const REF: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

pub fn date(year: i32, month: i32, day: i32) -> Option<value::Date> {
    Some(value::Date { year, month, day })
}

pub fn cad(minor_units: i64) -> Option<value::Money> {
    Some(value::Money { minor_units, currency_code: "CAD".into() })
}

pub fn terms() -> registry::EmploymentTerms {
    registry::EmploymentTerms {
        wage_basis: value::WageBasis::Hour as i32,
        wage_rate: cad(1720),
        weekly_hours_tenths: 480,
        guaranteed_weekly_hours_tenths: 350,
        start_date: date(2024, 5, 1),
        end_date: date(2024, 10, 31),
        housing: Some(registry::Housing { provided: true, weekly_cost: cad(3000), persons_per_room: 4 }),
        employer_pays_travel: true,
        employer_name: "Finca Ficticia Ltd".into(),
        place: Some(value::Place {
            country_code: "CA".into(),
            subdivision_code: "CA-ON".into(),
            locality: "Leamington".into(),
        }),
        ..registry::EmploymentTerms::default()
    }
}

pub fn worker() -> registry::Worker {
    registry::Worker {
        name: format!("workers/{REF}"),
        given_names: "María José".into(),
        family_names: "Peña".into(),
        birth_date: date(1990, 2, 3),
        sex: value::Sex::Female as i32,
        nationality: "SV".into(),
        languages: vec!["spa".into(), "eng".into()],
        national_id: CANARY.into(),
        document: Some(registry::TravelDocument {
            country_code: "SV".into(),
            number: "A1234567".into(),
            expiry: date(2030, 1, 1),
            kind: 0,
        }),
        occupation: Some(value::Code { list: "ISCO-08".into(), value: "9211".into() }),
        experience_years: 7,
        interviewer_notes: CANARY.into(),
        ..Default::default()
    }
}

pub fn placement() -> registry::Placement {
    registry::Placement {
        name: format!("placements/{REF}"),
        agreement: "sv-ca".into(),
        worker_ref: REF.into(),
        job_order: format!("jobOrders/{REF}"),
        recruiter_kind: value::RecruiterKind::PublicEmploymentService as i32,
        ..Default::default()
    }
}

pub fn contract() -> registry::Contract {
    registry::Contract {
        name: format!("contracts/{REF}"),
        placement: format!("placements/{REF}"),
        terms: Some(terms()),
        text_sha256: vec![7; 32],
        ..Default::default()
    }
}

/// The agreement's own data of a job order.
pub fn order_data(pack: &Pack, labour_test: &str) -> prost_types::Any {
    let descriptor = pack.extension(Root::JobOrder).unwrap();
    let mut data = DynamicMessage::new(descriptor.clone());
    data.set_field_by_name("labour_test_number", Value::String(labour_test.into()));
    let noc = descriptor.get_field_by_name("noc").unwrap();
    let mut code = DynamicMessage::new(noc.kind().as_message().unwrap().clone());
    code.set_field_by_name("list", Value::String("NOC-2016".into()));
    code.set_field_by_name("value", Value::String("8431".into()));
    data.set_field(&noc, Value::Message(code));
    prost_types::Any {
        type_url: format!("type.googleapis.com/{}", descriptor.full_name()),
        value: data.encode_to_vec(),
    }
}

pub fn job_order(pack: &Pack) -> registry::JobOrder {
    registry::JobOrder {
        name: format!("jobOrders/{REF}"),
        agreement: "sv-ca".into(),
        title: "Harvest".into(),
        occupation: Some(value::Code { list: "ISCO-08".into(), value: "9211".into() }),
        place: Some(value::Place {
            country_code: "CA".into(),
            subdivision_code: "CA-ON".into(),
            locality: "Leamington".into(),
        }),
        seats: 12,
        terms: Some(terms()),
        languages: vec!["spa".into()],
        state: value::JobOrderState::Open as i32,
        agreement_data: vec![
            registry::AgreementData {
                agreement: "gt-ca".into(),
                value: Some(prost_types::Any { type_url: CANARY.into(), value: vec![1] }),
            },
            registry::AgreementData { agreement: "sv-ca".into(), value: Some(order_data(pack, "LMIA-123")) },
        ],
        ..Default::default()
    }
}

pub fn employer() -> registry::Employer {
    registry::Employer { legal_name: "Finca Ficticia Ltd".into(), tax_id: CANARY.into(), ..Default::default() }
}

pub fn order_sources(pack: &Pack) -> Sources {
    Sources::new().with(&job_order(pack)).with(&employer())
}
