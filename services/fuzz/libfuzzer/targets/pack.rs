#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| convenio_fuzz::play("pack", bytes));
