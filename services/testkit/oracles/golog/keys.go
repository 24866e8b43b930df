package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// verifiers reads the file `keys`: the log's key first, then its cosigners'.
func (l log) verifiers() ([]note.Verifier, error) {
	var keys []note.Verifier
	for _, line := range strings.Split(strings.TrimSuffix(string(l["keys"]), "\n"), "\n") {
		role, vkey, _ := strings.Cut(line, " ")
		read := newCosigner
		if role == "log" {
			read = note.NewVerifier
		}
		key, err := read(vkey)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", role, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// A cosigner verifies Ed25519 cosignatures (C2SP tlog-cosignature), of which sumdb knows nothing.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosigner(vkey string) (note.Verifier, error) {
	words := strings.Split(vkey, "+")
	if len(words) < 3 {
		return nil, errors.New("not a verifier key")
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(words[2:], "+"))
	if err != nil || len(data) != 33 || data[0] != 0x04 {
		return nil, errors.New("not a cosigner's key")
	}
	sum := sha256.Sum256(append([]byte(words[0]+"\n"), data...))
	hash := binary.BigEndian.Uint32(sum[:])
	if fmt.Sprintf("%08x", hash) != words[1] {
		return nil, errors.New("the id is not the key's")
	}
	return cosigner{words[0], hash, data[1:]}, nil
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }

func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	header := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(c.key, append([]byte(header), msg...), sig[8:])
}
