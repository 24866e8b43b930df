package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// sizes and their leaves `entry <n>`: every proof of each is written, of the larger ones some.
var vectorSizes = []int64{1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 1000}

// vectors writes what stands in services/log/tests/vectors/sumdb: made by sumdb alone, from a fixed key.
func vectors(dir string) error {
	hashes := memory{}
	var proofs bytes.Buffer
	var size int64
	for _, want := range vectorSizes {
		for ; size < want; size++ {
			stored, err := tlog.StoredHashes(size, []byte(fmt.Sprintf("entry %d", size)), hashes)
			if err != nil {
				return err
			}
			for _, hash := range stored {
				hashes[int64(len(hashes))] = hash
			}
		}
		if err := writeProofs(&proofs, hashes, size); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "proofs"), proofs.Bytes(), 0o644); err != nil {
		return err
	}
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{51}, 32)), "sumdb.example/vectors")
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	signed, err := note.Sign(&note.Note{Text: "sumdb.example/vectors\n\nA text of three lines, según los usos.\n"}, signer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "vkey"), []byte(vkey), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "note"), signed, 0o644)
}

// writeProofs writes lines `root <size> <hash>`, `inclusion <size> <index> <hash>...` and
// `consistency <size> <old> <hash>...`.
func writeProofs(out *bytes.Buffer, hashes memory, size int64) error {
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "root %d %v\n", size, root)
	step := max(1, size/9)
	for at := int64(0); at < size; at += step {
		inclusion, err := tlog.ProveRecord(size, at, hashes)
		if err != nil {
			return err
		}
		consistency, err := tlog.ProveTree(size, at+1, hashes)
		if err != nil {
			return err
		}
		write(out, "inclusion", size, at, inclusion)
		write(out, "consistency", size, at+1, consistency)
	}
	return nil
}

func write(out *bytes.Buffer, kind string, size, at int64, hashes []tlog.Hash) {
	fmt.Fprintf(out, "%s %d %d", kind, size, at)
	for _, hash := range hashes {
		fmt.Fprintf(out, " %v", hash)
	}
	fmt.Fprintln(out)
}

// memory holds hashes by tlog's index.
type memory map[int64]tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := m[index]
		if !ok {
			return nil, fmt.Errorf("no hash %d", index)
		}
		found[i] = hash
	}
	return found, nil
}
