package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// height of C2SP tiles, whose paths leave it out.
const height = 8

// A log is the files of one directory by their paths, so that a forgery can alter a copy.
type log map[string][]byte

func load(dir string) (log, error) {
	l := log{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		l[filepath.ToSlash(name)] = data
		return err
	})
	return l, err
}

// under lists the rest of each path that begins with a prefix.
func (l log) under(prefix string) []string {
	var names []string
	for path := range l {
		if strings.HasPrefix(path, prefix) {
			names = append(names, strings.TrimPrefix(path, prefix))
		}
	}
	return names
}

// verify checks everything, and tells in a line what held.
func (l log) verify() (string, error) {
	keys, err := l.verifiers()
	if err != nil {
		return "", err
	}
	origin, tree, err := head(l["checkpoint"], keys)
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	if err := l.verifyTiles(tree); err != nil {
		return "", err
	}
	hashes := tlog.TileHashReader(tree, tiles{l})
	receipts, err := l.verifyReceipts(tree, hashes)
	if err != nil {
		return "", err
	}
	submissions, err := l.verifySubmissions(tree, hashes, keys)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %d entries, %d receipts, %d submissions", origin, tree.N, receipts, submissions), nil
}

// verifyTiles checks that the tiles and entries are those of the tree, and no others.
func (l log) verifyTiles(tree tlog.Tree) error {
	if tree.N == 0 {
		// RFC 6962 section 2.1; old versions of tlog know no root of an empty tree.
		if tree.Hash != sha256.Sum256(nil) {
			return errors.New("the empty tree has another root")
		}
		if n := len(l.under("tile/")); n > 0 {
			return fmt.Errorf("%d tiles of an empty tree", n)
		}
		return nil
	}
	hashes := tlog.TileHashReader(tree, tiles{l})
	for _, path := range l.under("tile/") {
		if !strings.HasPrefix(path, "entries/") {
			tile, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", height, path))
			if err != nil {
				return err
			}
			data, err := tlog.ReadTileData(tile, hashes)
			if err != nil || !bytes.Equal(data, l["tile/"+path]) {
				return fmt.Errorf("tile/%s: not a tile of the tree: %v", path, err)
			}
		}
	}
	for first := int64(0); first < tree.N; first += 1 << height {
		if err := l.verifyEntries(tree, hashes, first); err != nil {
			return err
		}
	}
	return nil
}

// verifyEntries checks the entries of one bundle against the leaves of the tree.
func (l log) verifyEntries(tree tlog.Tree, hashes tlog.HashReader, first int64) error {
	width := min(tree.N-first, 1<<height)
	tile := tlog.Tile{H: height, L: -1, N: first >> height, W: int(width)}
	path := "tile/entries" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/data", height))
	rest := l[path]
	indexes := make([]int64, width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
	}
	leaves, err := hashes.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		if len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
			return fmt.Errorf("%s: ends early", path)
		}
		end := 2 + int(binary.BigEndian.Uint16(rest))
		if tlog.RecordHash(rest[2:end]) != leaf {
			return fmt.Errorf("entry %d is not the tree's", first+int64(i))
		}
		rest = rest[end:]
	}
	if len(rest) > 0 {
		return fmt.Errorf("%s: bytes follow the last entry", path)
	}
	return nil
}

// tiles reads the directory's tiles for tlog.
type tiles struct{ log }

func (t tiles) Height() int { return height }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		path := "tile" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d", height))
		data, ok := t.log[path]
		if !ok || len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s: missing or of a wrong length", path)
		}
		found[i] = data
	}
	return found, nil
}

// head opens a checkpoint that every one of the keys must have signed.
func head(signed []byte, keys []note.Verifier) (string, tlog.Tree, error) {
	n, err := note.Open(signed, note.VerifierList(keys...))
	if err != nil {
		return "", tlog.Tree{}, err
	}
	if len(n.Sigs) != len(keys) || len(n.UnverifiedSigs) != 0 {
		return "", tlog.Tree{}, fmt.Errorf("%d of %d keys have signed", len(n.Sigs), len(keys))
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != keys[0].Name() {
		return "", tlog.Tree{}, errors.New("not origin, size and root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return "", tlog.Tree{}, err
	}
	hash, err := parseHash(lines[2])
	return lines[0], tlog.Tree{N: size, Hash: hash}, err
}

func parseHash(line string) (tlog.Hash, error) {
	var hash tlog.Hash
	data, err := base64.StdEncoding.Strict().DecodeString(line)
	if err != nil || len(data) != tlog.HashSize {
		return hash, fmt.Errorf("not a hash: %q", line)
	}
	copy(hash[:], data)
	return hash, nil
}
