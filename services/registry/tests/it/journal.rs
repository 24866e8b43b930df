//! What the registry's use cases leave in the node's journal.

use convenio_exchange::reading::entries_with_parts;
use convenio_registry::Registry;
use convenio_seal::commitment::commit;
use convenio_seal::journal::{journal_entry, row_digest};
use convenio_store::{Kind, Note};
use convenio_wire::exchange::v1::{JournalAction, JournalPart};
use convenio_wire::registry::v1::*;
use convenio_wire::r#type::v1::Date;
use prost::Message;

use crate::pair::{AGREEMENT, caller, pair};

const REQUEST: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

/// Everything that the journal says, each part under its entry's commitment.
async fn journal(registry: &Registry) -> Vec<JournalPart> {
    let logs = registry.core().store().logs().await.unwrap();
    let log = logs.iter().find(|log| log.agreement.is_empty()).unwrap();
    assert_eq!((log.origin.as_str(), log.own), ("node.sv.example/journal/1", true));
    let entries = entries_with_parts(registry.core(), log.id, 0, log.size).await.unwrap();
    let opened = entries.into_iter().map(|(row, parts)| {
        let entry = journal_entry(&row.bytes, &log.origin).unwrap();
        let [part] = &parts.parts[..] else { panic!("one part each") };
        let salt: [u8; 32] = part.salt.as_slice().try_into().unwrap();
        assert_eq!(commit(&salt, &part.part).as_slice(), entry.commitment);
        JournalPart::decode(part.part.as_slice()).unwrap()
    });
    opened.collect()
}

fn worker(value: &str) -> Worker {
    Worker {
        given_names: "Ana".into(),
        family_names: "Prueba".into(),
        birth_date: Some(Date { year: 1990, month: 2, day: 3 }),
        nationality: "SV".into(),
        external_ids: vec![ExternalId { system: "mtps".into(), value: value.into() }],
        ..Worker::default()
    }
}

fn said(parts: &[JournalPart]) -> Vec<(JournalAction, &str, u64)> {
    parts.iter().map(|part| (part.action(), part.method.as_str(), part.count)).collect()
}

#[tokio::test]
async fn every_change_and_every_read_of_personal_data_is_one_entry() {
    let (pair, me) = (pair().await, caller("sv"));
    let sv = &pair.sv;
    let create =
        CreateWorkerRequest { worker: Some(worker("1")), request_id: REQUEST.into(), ..CreateWorkerRequest::default() };
    let ana = sv.create_worker(&me, create.clone()).await.unwrap();
    sv.create_worker(&me, create).await.unwrap();
    sv.get_worker(&me, GetWorkerRequest { name: ana.name.clone() }).await.unwrap();
    let key = ana.external_ids.first().cloned();
    sv.lookup_worker(&me, LookupWorkerRequest { external_id: key }).await.unwrap();
    sv.list_workers(&me, ListWorkersRequest::default()).await.unwrap();
    let unknown = GetWorkerRequest { name: "workers/0190163d-8694-739b-aea5-966c26f8ad99".into() };
    sv.get_worker(&me, unknown).await.unwrap_err();
    let asked = Placement { agreement: AGREEMENT.into(), worker: ana.name.clone(), ..Placement::default() };
    let create = CreatePlacementRequest { placement: Some(asked), ..CreatePlacementRequest::default() };
    let placement = sv.create_placement(&me, create).await.unwrap();
    sv.get_placement(&me, GetPlacementRequest { name: placement.name.clone() }).await.unwrap();

    let parts = journal(sv).await;
    let (written, read) = (JournalAction::Written, JournalAction::Read);
    let expected = [
        (written, "WorkerService.CreateWorker", 0),
        (read, "WorkerService.CreateWorker", 1),
        (read, "WorkerService.GetWorker", 1),
        (read, "WorkerService.LookupWorker", 1),
        (read, "WorkerService.ListWorkers", 1),
        (written, "PlacementService.CreatePlacement", 0),
        (read, "PlacementService.GetPlacement", 2),
    ];
    assert_eq!(said(&parts), expected);
    for part in &parts {
        let who = (part.caller.as_str(), part.office.as_str(), part.purpose.as_str());
        assert_eq!(who, ("spiffe://sv.example/integration/ministry", "ministry", "placement"));
    }
    let id = ana.name.strip_prefix("workers/").unwrap().parse().unwrap();
    let row = sv.core().store().resource((Kind::Worker, id)).await.unwrap().unwrap();
    let digest = row_digest(Kind::Worker as u8, &id.0, 1, &row.body).to_vec();
    let told = &parts[0].rows[0];
    assert_eq!((told.kind, &told.id, told.revision, &told.digest), (4, &id.0.to_vec(), 1, &digest));
    let reader = parts[6].rows.iter().find(|row| row.id == id.0).unwrap();
    assert_eq!((reader.revision, reader.digest.len()), (0, 0));
    let kinds: Vec<u32> = parts[5].rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [Kind::Pairwise as u32, Kind::Placement as u32, Kind::Worker as u32]);
}

#[tokio::test]
async fn a_refused_change_leaves_nothing_and_a_long_list_names_the_first_hundred() {
    let (pair, me) = (pair().await, caller("sv"));
    let create = |n: usize| {
        let worker = Some(worker(&n.to_string()));
        pair.sv.create_worker(&me, CreateWorkerRequest { worker, ..CreateWorkerRequest::default() })
    };
    futures::future::try_join_all((0..120).map(create)).await.unwrap();
    create(7).await.unwrap_err();
    assert_eq!(journal(&pair.sv).await.len(), 120);
    let request = ListWorkersRequest { page_size: 110, ..ListWorkersRequest::default() };
    pair.sv.list_workers(&me, request).await.unwrap();
    let parts = journal(&pair.sv).await;
    assert_eq!((parts.len(), parts[120].rows.len(), parts[120].count), (121, Note::MAX_ROWS, 110));
}

#[tokio::test]
async fn the_data_key_of_a_worker_opens_what_is_about_the_worker_alone() {
    let (pair, me) = (pair().await, caller("sv"));
    let mut names = Vec::new();
    for value in ["1", "2"] {
        let request = CreateWorkerRequest { worker: Some(worker(value)), ..CreateWorkerRequest::default() };
        names.push(pair.sv.create_worker(&me, request).await.unwrap().name);
    }
    pair.sv.list_workers(&me, ListWorkersRequest::default()).await.unwrap();
    pair.sv.get_worker(&me, GetWorkerRequest { name: names[0].clone() }).await.unwrap();
    let store = pair.sv.core().store();
    let id = |name: &String| name.strip_prefix("workers/").unwrap().parse().unwrap();
    let subjects: Vec<_> = names.iter().map(|name| convenio_exchange::journal::key_subject(id(name))).collect();
    for (subject, entries) in subjects.iter().zip([vec![0, 3], vec![1]]) {
        let keys = store.subject_keys(&[*subject]).await.unwrap();
        let parts = store.parts_of_key(keys[0].key_id).await.unwrap();
        assert_eq!(parts.iter().map(|part| part.index).collect::<Vec<_>>(), entries);
    }
}

#[tokio::test]
async fn a_node_without_an_open_journal_changes_and_shows_nothing() {
    let (pair, me) = (pair().await, caller("sv"));
    let core = pair.sv.core().clone();
    let closing = core.write(|work| {
        Box::pin(async move {
            let log = work.logs().find(|log| log.agreement.is_empty()).unwrap().clone();
            work.put_log(convenio_store::LogRow { closed: true, ..log });
            Ok::<_, convenio_store::StoreError>(())
        })
    });
    closing.await.unwrap();
    let request = CreateWorkerRequest { worker: Some(worker("1")), ..CreateWorkerRequest::default() };
    pair.sv.create_worker(&me, request.clone()).await.unwrap_err();
    pair.sv.list_workers(&me, ListWorkersRequest::default()).await.unwrap_err();
    assert!(core.store().resources(Kind::Worker, None, 10).await.unwrap().is_empty());

    assert!(convenio_exchange::journal::open(&core, 1).await.is_err());
    convenio_exchange::journal::open(&core, 2).await.unwrap();
    pair.sv.create_worker(&me, request).await.unwrap();
    let logs = core.store().logs().await.unwrap();
    let journals: Vec<_> = logs.iter().filter(|log| log.agreement.is_empty()).collect();
    let told: Vec<_> = journals.iter().map(|log| (log.origin.as_str(), log.size, log.closed)).collect();
    assert_eq!(told, [("node.sv.example/journal/1", 0, true), ("node.sv.example/journal/2", 1, false)]);
}
