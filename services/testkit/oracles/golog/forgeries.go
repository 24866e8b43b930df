package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"sort"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A forgery is an altered copy of a log that verifies.
type forgery struct {
	what string
	log  log
}

// forgeries alters one thing in each copy.
func (l log) forgeries() []forgery {
	var all []forgery
	with := func(what, path string, data []byte) {
		altered := log{}
		for p, d := range l {
			altered[p] = d
		}
		if data == nil {
			delete(altered, path)
		} else {
			altered[path] = data
		}
		all = append(all, forgery{what + " " + path, altered})
	}
	with("another log key of the same name in", "keys", l.strangerKeys())
	signed := l["checkpoint"]
	text, signatures, _ := bytes.Cut(signed, []byte("\n\n"))
	parts := bytes.Split(text, []byte("\n"))
	with("one entry more in", "checkpoint", bytes.Replace(signed, parts[1], append(parts[1], '1'), 1))
	root := append([]byte{}, parts[2]...)
	root[3] ^= 1
	with("another root in", "checkpoint", bytes.Replace(signed, parts[2], root, 1))
	for i, line := range bytes.SplitAfter(bytes.TrimSuffix(signatures, []byte("\n")), []byte("\n")) {
		without := bytes.Replace(signed, line, nil, 1)
		with(fmt.Sprintf("signature %d removed from", i), "checkpoint", without)
		forged := append([]byte{}, line...)
		forged[len(forged)/2+20] ^= 1
		with(fmt.Sprintf("signature %d altered in", i), "checkpoint", bytes.Replace(signed, line, forged, 1))
	}
	for _, path := range l.lastOfEachKind() {
		data := l[path]
		for _, at := range []int{0, len(data) / 2, len(data) - 1} {
			flipped := append([]byte{}, data...)
			flipped[at] ^= 1
			with(fmt.Sprintf("byte %d flipped in", at), path, flipped)
		}
		with("the last byte cut from", path, data[:len(data)-1])
		with("the last hash cut from", path, data[:len(data)-min(len(data), 32)])
		with("removed", path, nil)
	}
	for _, folder := range []string{"receipts/", "submissions/"} {
		for _, name := range l.under(folder) {
			for what, data := range alteredProofs(l[folder+name]) {
				with(what, folder+name, data)
			}
		}
	}
	return all
}

// alteredProofs changes the hashes of a receipt or a submission.
func alteredProofs(data []byte) map[string][]byte {
	above, below, _ := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(above), "\n")
	first := 1
	if strings.HasPrefix(lines[0], "c2sp.org/") {
		first = 2
	}
	whole := func(lines []string) []byte {
		return []byte(strings.Join(lines, "\n") + "\n\n" + string(below))
	}
	extra := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	altered := map[string][]byte{"a hash too many in": whole(append(lines[:len(lines):len(lines)], extra))}
	if len(lines) > first {
		altered["a hash too few in"] = whole(lines[:len(lines)-1])
	}
	if len(lines) > first+1 {
		swapped := append([]string{}, lines...)
		swapped[first], swapped[first+1] = swapped[first+1], swapped[first]
		altered["two hashes swapped in"] = whole(swapped)
	}
	return altered
}

// lastOfEachKind is the rightmost tile of each level, and the last entry bundle.
func (l log) lastOfEachKind() []string {
	last := map[string]string{}
	paths := l.under("tile/")
	sort.Strings(paths)
	for _, path := range paths {
		if len(l["tile/"+path]) > 0 {
			last[strings.SplitN(path, "/", 2)[0]] = "tile/" + path
		}
	}
	var all []string
	for _, path := range last {
		all = append(all, path)
	}
	return all
}

// strangerKeys is the file `keys` with another key under the log's name.
func (l log) strangerKeys() []byte {
	first, rest, _ := bytes.Cut(l["keys"], []byte("\n"))
	name, _, _ := strings.Cut(strings.TrimPrefix(string(first), "log "), "+")
	_, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		panic(err)
	}
	return append([]byte("log "+vkey+"\n"), rest...)
}
