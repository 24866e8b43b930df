module convenio.example/oracles/golog

go 1.21

require golang.org/x/mod v0.7.0

// Debian's golang-golang-x-mod-dev, which `cargo xtask oracles` unpacks there.
replace golang.org/x/mod => ../../../../target/tools/golang-x-mod
