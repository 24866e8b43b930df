//! Records, keys, requests, views, events.

use super::fixtures::*;
use crate::ports::{Store, StoreError};
use crate::rows::*;

pub(super) async fn records_are_inserted_then_replaced(store: &dyn Store) -> Result<(), StoreError> {
    let mut row = ResourceRow { parent: Some(reference(9)), ..resource(Kind::Contract, 1) };
    let key = (row.kind, row.id);
    assert_eq!(store.resource(key).await?, None);
    commit(store, Writes { resources: vec![row.clone()], ..Writes::default() }).await?;
    assert_eq!(store.resource(key).await?.as_ref(), Some(&row));
    assert_eq!(store.resource((Kind::Worker, row.id)).await?, None, "kinds are apart");

    row.revision = 2;
    row.parent = None;
    row.body = Vec::new();
    row.updated_ms += 1;
    commit(store, Writes { resources: vec![row.clone()], ..Writes::default() }).await?;
    assert_eq!(store.resource(key).await?.as_ref(), Some(&row));
    let found = store.begin().await?.resources(&[key, (Kind::Contract, reference(2)), key]).await?;
    assert_eq!(found, [row], "existing ones, each once");
    Ok(())
}

pub(super) async fn pages_ascend_and_end(store: &dyn Store) -> Result<(), StoreError> {
    let mut resources: Vec<_> = [4, 2, 5, 1, 3].into_iter().map(|n| resource(Kind::Worker, n)).collect();
    resources.push(resource(Kind::Agency, 6));
    for n in 10..14 {
        // The later identifier was created first.
        let created_ms = 100 - n / 2;
        resources.push(ResourceRow { parent: Some(reference(1)), created_ms, ..resource(Kind::Contract, n) });
    }
    commit(store, Writes { resources, ..Writes::default() }).await?;

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.resources(Kind::Worker, after, 2).await?;
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|row| row.id));
    }
    assert_eq!(seen, (1..=5).map(reference).collect::<Vec<_>>());

    let ids = |rows: Vec<ResourceRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.children(Kind::Contract, reference(1), 10).await?), [12, 13, 10, 11].map(reference));
    assert_eq!(ids(store.children(Kind::Contract, reference(1), 3).await?), [12, 13, 10].map(reference));
    assert_eq!(store.children(Kind::Contract, reference(2), 10).await?, []);
    Ok(())
}

pub(super) async fn an_external_key_points_to_one_record(store: &dyn Store) -> Result<(), StoreError> {
    let key = |value: &str| (Kind::Employer, "tax".to_owned(), value.to_owned());
    let put = |value: &str, n| Writes { external_put: vec![(key(value), reference(n))], ..Writes::default() };
    commit(store, put("a", 1)).await?;
    commit(store, put("a", 1)).await?;
    commit(store, put("b", 1)).await?;
    assert_eq!(store.external(&key("a")).await?, Some(reference(1)));
    assert_eq!(store.external(&(Kind::Worker, "tax".to_owned(), "a".to_owned())).await?, None);

    let both = Writes { resources: vec![resource(Kind::Employer, 2)], ..put("a", 2) };
    refused(store, both, "a key of another record").await?;
    assert_eq!(store.external(&key("a")).await?, Some(reference(1)));
    assert_eq!(store.resource((Kind::Employer, reference(2))).await?, None, "all or nothing");

    commit(store, Writes { external_delete: vec![key("a")], ..put("a", 2) }).await?;
    assert_eq!(store.external(&key("a")).await?, Some(reference(2)));
    let mut tx = store.begin().await?;
    assert_eq!(tx.externals_of((Kind::Employer, reference(1))).await?, [key("b")]);
    let mut found = tx.externals(&[key("a"), key("b"), key("c")]).await?;
    found.sort();
    assert_eq!(found, [(key("a"), reference(2)), (key("b"), reference(1))]);
    Ok(())
}

pub(super) async fn an_answer_is_never_replaced(store: &dyn Store) -> Result<(), StoreError> {
    let row = request(1);
    commit(store, Writes { requests: vec![row.clone()], ..Writes::default() }).await?;
    assert_eq!(store.request(&row.key).await?.as_ref(), Some(&row));
    assert_eq!(store.request(&("other".to_owned(), row.key.1)).await?, None, "callers are apart");
    let other = RequestRow { response: vec![4], ..row.clone() };
    refused(store, Writes { requests: vec![other], ..Writes::default() }, "a second answer").await?;
    assert_eq!(store.begin().await?.requests(&[row.key.clone(), request(2).key]).await?, [row]);
    Ok(())
}

pub(super) async fn views_are_found_by_every_filter(store: &dyn Store) -> Result<(), StoreError> {
    let mut other = view(3, "NOMINATED", "CA-QC", 4);
    other.key.0 = "gt-ca".to_owned();
    let order = ViewRow { key: (AGREEMENT.to_owned(), ViewKind::Order, reference(1)), ..view(1, "OPEN", "CA-ON", 5) };
    let views = vec![
        view(2, "NOMINATED", "CA-ON", 1),
        view(1, "SELECTED", "CA-ON", 2),
        view(4, "NOMINATED", "CA-QC", 3),
        other.clone(),
        order.clone(),
    ];
    commit(store, Writes { views: views.clone(), ..Writes::default() }).await?;

    let found = async |agreement: &str, label: &str, after, limit| {
        let rows = store.views(ViewKind::Placement, agreement, label, after, limit).await?;
        Ok::<_, StoreError>(rows.into_iter().map(|row| row.key.2).collect::<Vec<_>>())
    };
    assert_eq!(found("", "", None, 10).await?, [1, 2, 3, 4].map(reference));
    assert_eq!(found(AGREEMENT, "", None, 10).await?, [1, 2, 4].map(reference));
    assert_eq!(found("", "NOMINATED", None, 10).await?, [2, 3, 4].map(reference));
    assert_eq!(found(AGREEMENT, "NOMINATED", Some(reference(2)), 10).await?, [reference(4)]);
    assert_eq!(found("", "", Some(reference(1)), 2).await?, [2, 3].map(reference));

    assert_eq!(store.view(&order.key).await?, Some(order.clone()));
    assert_eq!(store.views_of(ViewKind::Placement, reference(3)).await?, [other]);
    assert_eq!(store.begin().await?.views(&[order.key.clone(), view(9, "", "", 0).key]).await?, [order]);
    Ok(())
}

pub(super) async fn changes_are_followed_in_order(store: &dyn Store) -> Result<(), StoreError> {
    assert_eq!(store.begin().await?.last_change().await?, 0);
    let first = (1..=4).map(|n| view(n, "NOMINATED", if n % 2 == 0 { "CA-ON" } else { "CA-QC" }, n)).collect();
    commit(store, Writes { views: first, ..Writes::default() }).await?;
    let second = vec![view(2, "SELECTED", "CA-ON", 5)];
    commit(store, Writes { views: second, ..Writes::default() }).await?;
    assert_eq!(store.begin().await?.last_change().await?, 5);

    let followed = async |areas: &[&str], change, limit| {
        let areas: Vec<_> = areas.iter().map(|area| (*area).to_owned()).collect();
        let rows = store.views_changed(ViewKind::Placement, &areas, change, limit).await?;
        Ok::<_, StoreError>(rows.into_iter().map(|row| row.change).collect::<Vec<_>>())
    };
    assert_eq!(followed(&["CA-ON", "CA-QC"], 0, 10).await?, [1, 3, 4, 5]);
    assert_eq!(followed(&["CA-ON"], 0, 10).await?, [4, 5]);
    assert_eq!(followed(&["CA-ON", "CA-QC"], 1, 2).await?, [3, 4]);
    assert_eq!(followed(&["CA-ON"], 5, 10).await?, []);
    assert_eq!(followed(&[], 0, 10).await?, []);
    assert_eq!(store.views_changed(ViewKind::Order, &["CA-ON".to_owned()], 0, 10).await?, []);
    Ok(())
}

pub(super) async fn events_are_numbered_in_order(store: &dyn Store) -> Result<(), StoreError> {
    let event = |placement, body| EventRow {
        ordinal: 0,
        agreement: AGREEMENT.to_owned(),
        placement: reference(placement),
        body: vec![body],
    };
    commit(store, Writes { events: vec![event(1, 1), event(2, 2), event(1, 3)], ..Writes::default() }).await?;
    commit(store, Writes { events: vec![event(1, 4)], ..Writes::default() }).await?;
    let all = store.events(reference(1), 0, 10).await?;
    assert_eq!(all.iter().map(|e| e.body[0]).collect::<Vec<_>>(), [1, 3, 4]);
    assert!(all.is_sorted_by_key(|e| e.ordinal) && all[0].ordinal > 0);
    let next = store.events(reference(1), all[0].ordinal, 1).await?;
    assert_eq!(next, all[1..2]);
    Ok(())
}

pub(super) async fn a_data_key_is_never_replaced(store: &dyn Store) -> Result<(), StoreError> {
    let row = SubjectKeyRow { subject: reference(1), key_id: [1; 16] };
    commit(store, Writes { subject_keys: vec![row.clone()], ..Writes::default() }).await?;
    let other = SubjectKeyRow { key_id: [2; 16], ..row.clone() };
    refused(store, Writes { subject_keys: vec![other], ..Writes::default() }, "another data key").await?;
    assert_eq!(store.subject_keys(&[reference(1), reference(2)]).await?, [row]);
    Ok(())
}
