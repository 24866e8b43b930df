// Golog verifies exported logs with golang.org/x/mod/sumdb/{note,tlog}, the programs that check every
// Go module's checksum, which nobody of this project wrote.
//
//	golog LOGDIR...
//	golog vectors OUT     writes services/log/tests/vectors/sumdb
//
// Each LOGDIR is as `cargo run -p convenio-log --example logs` writes it. Proves: the log's signature
// and both cosignatures, every tile and every entry against the root, our receipts and our consistency
// proofs, each equal to the one that tlog makes. Then alters copies, each of which must be refused: a
// check that accepts everything is found here. Exit status: 0 all hold, 1 one does not, 2 wrong usage.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: golog LOGDIR...")
		os.Exit(2)
	}
	if os.Args[1] == "vectors" && len(os.Args) == 3 {
		if err := vectors(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	for _, dir := range os.Args[1:] {
		if err := judge(dir); err != nil {
			fmt.Fprintf(os.Stderr, "REFUSED %s: %v\n", dir, err)
			os.Exit(1)
		}
	}
}

// judge verifies a log and prints what held in a line.
func judge(dir string) error {
	l, err := load(dir)
	if err != nil {
		return err
	}
	held, err := l.verify()
	if err != nil {
		return err
	}
	refused := 0
	for _, f := range l.forgeries() {
		if _, err := f.log.verify(); err == nil {
			return fmt.Errorf("control failed: %s was accepted", f.what)
		}
		refused++
	}
	fmt.Printf("ok sumdb %s: %d altered copies refused\n", held, refused)
	return nil
}
