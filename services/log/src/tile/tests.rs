use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;
use crate::proof::{consistency, inclusion, root_from};
use crate::{MemoryTree, naive};

#[test]
fn paths_of_the_specification() {
    let tile = Tile::new(3, 1_234_067, 256).unwrap();
    assert_eq!(tile.to_string(), "tile/3/x001/x234/067");
    assert_eq!(Tile::new(0, 273, 112).unwrap().to_string(), "tile/0/273.p/112");
    assert_eq!(Tile::new(0, 0, 256).unwrap().to_string(), "tile/0/000");
    assert_eq!(EntryTile::new(1000, 1).unwrap().to_string(), "tile/entries/x001/000.p/1");
}

#[test]
fn paths_round_trip() {
    for index in [0, 1, 9, 999, 1000, 1001, 999_999, 1_000_000, 1_234_067, crate::MAX_SIZE / 256] {
        for width in [1, 9, 255, 256] {
            let tile = Tile::new(63, index, width).unwrap();
            assert_eq!(Tile::parse(&tile.to_string()), Ok(tile));
            let entries = EntryTile::new(index, width).unwrap();
            assert_eq!(EntryTile::parse(&entries.to_string()), Ok(entries));
        }
    }
}

#[test]
fn other_spellings_are_refused() {
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/+0/000",
        "tile/64/000",
        "tile/256/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/X001/000",
        "tile/0/x001/x000",
        "tile/0/x01/000",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p/65536",
        "tile/0/000.P/1",
        "tile/0/00a",
        "tile/0/ 00",
        "tile/entries/000",
        "tile/0/x036/x028/x797/x018/x963/969",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0//000",
    ] {
        assert!(Tile::parse(path).is_err(), "{path:?}");
    }
    for path in ["tile/0/000", "tile/entries/", "tile/entries/0", "tile/entries/000.p/256", "tile/entries/000/"] {
        assert!(EntryTile::parse(path).is_err(), "{path:?}");
    }
    assert_eq!(Tile::new(0, 0, 0), Err(TilePathError::Width));
    assert_eq!(Tile::new(0, 0, 257), Err(TilePathError::Width));
    assert_eq!(Tile::new(64, 0, 1), Err(TilePathError::Level));
    assert_eq!(Tile::new(0, u64::MAX, 1), Err(TilePathError::Index));
}

#[test]
fn tiles_of_the_specification() {
    let all: Vec<Tile> = tiles(70_000).collect();
    let count = |level, full| all.iter().filter(|tile| tile.level() == level && tile.is_full() == full).count();
    assert_eq!((count(0, true), count(0, false)), (273, 1));
    assert_eq!((count(1, true), count(1, false)), (1, 1));
    assert_eq!((count(2, true), count(2, false)), (0, 1));
    assert!(all.contains(&Tile::new(0, 273, 112).unwrap()));
    assert!(all.contains(&Tile::new(1, 1, 17).unwrap()));
    assert!(all.contains(&Tile::new(2, 0, 1).unwrap()));
    assert_eq!(all.len(), 277);
    let paths: Vec<String> = tiles(256).map(|tile| tile.to_string()).collect();
    assert_eq!(paths, ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(tiles(0).count(), 0);
    let bundles: Vec<String> = entry_tiles(513).map(|bundle| bundle.to_string()).collect();
    assert_eq!(bundles, ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/1"]);
    assert_eq!(Tile::at(0, 273, 69_888), None);
}

/// A log kept as a store keeps it: full tiles as they fill, partial ones of the end.
fn stored(size: u32) -> (MemoryTree, TileBuilder, BTreeMap<Tile, Vec<u8>>) {
    let (mut tree, mut builder, mut store) = (MemoryTree::new(), TileBuilder::new(), BTreeMap::new());
    for leaf in naive::leaves(size) {
        tree.append(leaf);
        for full in builder.append(leaf) {
            assert_eq!(full.bytes().len(), TILE_BYTES);
            assert!(store.insert(full.tile(), full.bytes()).is_none());
        }
    }
    store.extend(builder.partial_tiles());
    (tree, builder, store)
}

#[test]
fn builder_fills_exactly_the_tiles_of_the_size() {
    for size in [0, 1, 255, 256, 257, 512, 600, 65_535, 65_536, 66_000] {
        let (tree, builder, store) = stored(size);
        assert!(store.keys().copied().eq(tiles(u64::from(size))), "{size}");
        assert_eq!(builder.root(), tree.root());
        assert_eq!(builder.size(), u64::from(size));
        for (tile, bytes) in &store {
            let hashes = parse_tile(*tile, bytes).unwrap();
            for (offset, hash) in hashes.into_iter().enumerate() {
                let index = tile.index() * 256 + offset as u64;
                assert_eq!(tree.node(8 * tile.level(), index), Some(hash), "{tile}");
            }
        }
    }
}

#[test]
fn reader_makes_the_proofs_of_the_whole_tree() {
    for size in [1u64, 255, 256, 257, 600, 66_000] {
        let (tree, _, store) = stored(size as u32);
        let full_only: BTreeMap<Tile, Vec<u8>> = store
            .iter()
            .filter(|(tile, _)| tile.is_full() || tile.level() == 0)
            .map(|(t, b)| (*t, b.clone()))
            .collect();
        for store in [store, full_only] {
            let reader = TileReader::new(|tile| TileSource::tile(&store, tile), size);
            assert_eq!(root_from(&reader, size).unwrap(), tree.root());
            for at in (0..size).step_by(size.div_ceil(97) as usize) {
                assert_eq!(inclusion(&reader, at, size).unwrap(), inclusion(&tree, at, size).unwrap());
                assert_eq!(consistency(&reader, at, size).unwrap(), consistency(&tree, at, size).unwrap());
            }
        }
    }
}

#[test]
fn reader_restores_the_builder() {
    let leaves = naive::leaves(66_100);
    let (_, _, store) = stored(66_000);
    let mut builder = TileReader::new(store, 66_000).builder().unwrap();
    for leaf in &leaves[66_000..] {
        builder.append(*leaf);
    }
    let whole: MemoryTree = leaves.into_iter().collect();
    assert_eq!(builder.root(), whole.root());
    let partials = (0..3).map(|level| builder.partial(level).to_vec()).collect();
    assert_eq!(TileBuilder::from_parts(66_100, partials).unwrap().root(), whole.root());
    assert!(TileBuilder::from_parts(66_101, Vec::new()).is_err());
    assert_eq!(TileBuilder::from_parts(1 << 63, Vec::new()).unwrap_err(), BuilderError::SizeTooLarge);
}

#[test]
fn planned_tiles_suffice() {
    let size = 66_000;
    let (tree, _, store) = stored(66_000);
    let fetched = |plan: std::collections::BTreeSet<Tile>| {
        let tiles: BTreeMap<Tile, Vec<u8>> = plan.into_iter().map(|tile| (tile, store[&tile].clone())).collect();
        TileReader::new(tiles, size)
    };
    for at in [0, 1, 300, 40_000, 65_536, 65_999] {
        let reader = fetched(inclusion_tiles(at, size).unwrap());
        assert_eq!(inclusion(&reader, at, size).unwrap(), inclusion(&tree, at, size).unwrap());
        let reader = fetched(consistency_tiles(at, size).unwrap());
        assert_eq!(consistency(&reader, at, size).unwrap(), consistency(&tree, at, size).unwrap());
    }
    let reader = fetched(root_tiles(size).unwrap());
    assert_eq!(root_from(&reader, size).unwrap(), tree.root());
    assert!(inclusion_tiles(9, 9).is_err());
}

#[test]
fn unusable_tiles_are_named() {
    let tile = Tile::new(0, 0, 3).unwrap();
    let missing = TileReader::new(|_| Ok::<_, Infallible>(None), 3);
    assert_eq!(missing.tile(tile), Err(ReadError::Missing(tile)));
    for bytes in [0, 1, 95, 97, 128, 8191, 8193] {
        let reader = TileReader::new(|_| Ok::<_, Infallible>(Some(vec![0; bytes])), 3);
        assert_eq!(reader.tile(tile), Err(ReadError::Length(tile)), "{bytes}");
    }
    let (_, _, store) = stored(3);
    let reader = TileReader::new(store, 3);
    for (level, index) in [(0, 3), (1, 1), (2, 0), (8, 0), (255, 0), (0, u64::MAX)] {
        assert!(matches!(crate::HashSource::hash(&reader, level, index), Err(ReadError::OutOfRange { .. })));
    }
}

#[test]
fn the_next_entry_falls_into_its_bundle() {
    let (_, builder, _) = stored(256);
    assert_eq!(builder.next_entry_tile(), EntryTile::new(1, 1).ok());
    let (_, builder, _) = stored(600);
    assert_eq!(builder.next_entry_tile(), EntryTile::new(2, 89).ok());
}

#[test]
fn builder_knows_the_root_at_every_size() {
    let (mut builder, mut frontier) = (TileBuilder::new(), crate::Frontier::new());
    for leaf in naive::leaves(66_600) {
        assert_eq!(builder.root(), frontier.root(), "{}", builder.size());
        builder.append(leaf);
        frontier.append(leaf);
    }
}
