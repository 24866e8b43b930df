#![allow(clippy::unwrap_used)]

use super::*;
use crate::access::{ADD_CHECKPOINT, LOG, LOGS, WITNESSED};

#[test]
fn each_resource_has_one_path_and_other_paths_name_nothing() {
    let log = "0f".repeat(32);
    let of = |file: &str| path::resource(&format!("/logs/{log}/{file}"));
    let tile = convenio_log::Tile::new(0, 1_234_067, 256).unwrap();
    let bundle = convenio_log::EntryTile::new(3, 17).unwrap();
    assert_eq!(of("checkpoint"), Some(Resource::Log(log.clone(), File::Checkpoint)));
    assert_eq!(of("tile/0/x001/x234/067"), Some(Resource::Log(log.clone(), File::Tile(tile))));
    assert_eq!(of("tile/entries/003.p/17"), Some(Resource::Log(log.clone(), File::Entries(bundle))));
    assert_eq!(path::resource("/logs/"), Some(Resource::Logs));
    assert_eq!(path::resource("/add-checkpoint"), Some(Resource::AddCheckpoint));
    assert_eq!(path::resource(&format!("/{log}/checkpoint")), Some(Resource::Witnessed(log.clone())));
    for bad in
        ["tile/0/3", "tile/64/003", "tile/0/003.p/256", "tile/0/003.p/0", "tile/entries/x000/003", "", "parts/000"]
    {
        assert_eq!(of(bad), None, "{bad}");
    }
    let upper = log.to_uppercase();
    for bad in ["/", "", "/logs", "/logs/0f/checkpoint", &format!("/{log}/tile/0/000"), &format!("/{upper}/checkpoint")]
    {
        assert_eq!(path::resource(bad), None, "{bad}");
    }
}

#[test]
fn partners_read_logs_and_submit_and_consulates_do_neither() {
    for rule in [&LOGS, &LOG, &WITNESSED, &ADD_CHECKPOINT] {
        assert!(rule.partner.iter().all(|role| *role == "node"), "{}", rule.name);
        for role in ["consulate", "integration", "agency"] {
            assert!(!rule.own.contains(&role), "{}", rule.name);
        }
    }
    assert!(LOGS.partner.is_empty());
    assert!(ADD_CHECKPOINT.own.is_empty());
}
