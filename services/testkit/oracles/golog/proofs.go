package main

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// verifyReceipts checks our receipts (C2SP tlog-proof), and that tlog makes the same proofs.
func (l log) verifyReceipts(tree tlog.Tree, hashes tlog.HashReader) (int, error) {
	names := l.under("receipts/")
	for _, name := range names {
		index, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			return 0, err
		}
		lines, err := lines(l["receipts/"+name], "c2sp.org/tlog-proof@v1\nindex "+name, l["checkpoint"])
		if err != nil {
			return 0, fmt.Errorf("receipt %s: %w", name, err)
		}
		leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return 0, err
		}
		if err := tlog.CheckRecord(lines, tree.N, tree.Hash, index, leaf[0]); err != nil {
			return 0, fmt.Errorf("receipt %s: %w", name, err)
		}
		made, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil || !same(made, lines) {
			return 0, fmt.Errorf("receipt %s: tlog makes another: %v", name, err)
		}
	}
	return len(names), nil
}

// verifySubmissions checks our consistency proofs in the bodies of tlog-witness's add-checkpoint.
func (l log) verifySubmissions(tree tlog.Tree, hashes tlog.HashReader, keys []note.Verifier) (int, error) {
	names := l.under("submissions/")
	for _, name := range names {
		_, old, err := head(l["checkpoints/"+name], keys)
		if err != nil {
			return 0, fmt.Errorf("checkpoint %s: %w", name, err)
		}
		lines, err := lines(l["submissions/"+name], "old "+name, l["checkpoint"])
		if err != nil {
			return 0, fmt.Errorf("submission %s: %w", name, err)
		}
		if old.N == 0 {
			// tlog proves nothing from the empty tree: the proof is empty.
			if len(lines) > 0 {
				return 0, errors.New("a proof from the empty tree")
			}
			continue
		}
		if err := tlog.CheckTree(lines, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return 0, fmt.Errorf("submission %s: %w", name, err)
		}
		made, err := tlog.ProveTree(tree.N, old.N, hashes)
		if err != nil || !same(made, lines) {
			return 0, fmt.Errorf("submission %s: tlog makes another: %v", name, err)
		}
	}
	return len(names), nil
}

// lines reads the hashes between a first part and a blank line with the checkpoint after it.
func lines(data []byte, first string, checkpoint []byte) ([]tlog.Hash, error) {
	above, below, found := bytes.Cut(data, []byte("\n\n"))
	if !found || !bytes.Equal(below, checkpoint) {
		return nil, errors.New("not proof, blank line and checkpoint")
	}
	rest, found := strings.CutPrefix(string(above), first)
	if !found {
		return nil, fmt.Errorf("does not begin %q", first)
	}
	var hashes []tlog.Hash
	for _, line := range strings.Split(rest, "\n")[1:] {
		hash, err := parseHash(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

func same(a, b []tlog.Hash) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}
