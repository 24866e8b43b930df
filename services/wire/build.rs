//! Compiles the contract in `proto/` with protox: no protoc is needed.
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.join("convenio").display());
    let files = [
        "convenio/type/v1/value.proto",
        "convenio/agreement/v1/options.proto",
        "convenio/agreement/v1/ratification.proto",
        "convenio/agreement/v1/negotiation.proto",
        "convenio/exchange/v1/entry.proto",
        "convenio/exchange/v1/exchange_service.proto",
        "convenio/exchange/v1/journal.proto",
        "convenio/registry/v1/resource.proto",
        "convenio/registry/v1/agency.proto",
        "convenio/registry/v1/crew.proto",
        "convenio/registry/v1/employer.proto",
        "convenio/registry/v1/job_order.proto",
        "convenio/registry/v1/worker.proto",
        "convenio/registry/v1/contract.proto",
        "convenio/registry/v1/placement.proto",
        "convenio/registry/v1/retention.proto",
        "convenio/consular/v1/consular_service.proto",
        "convenio/node/v1/node_service.proto",
        "convenio/audit/v1/audit_service.proto",
    ];
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(false);
    compiler.open_files(files)?;
    // The raw encoding keeps custom options; the typed set that prost-build takes would drop them.
    let raw = compiler.encode_file_descriptor_set();
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), &raw)?;
    let mut typed = compiler.file_descriptor_set();
    typed.file.retain(|f| f.package().starts_with("convenio.") || f.package() == "google.protobuf");
    prost_build::Config::new()
        .include_file("convenio.rs")
        .bytes([".convenio.exchange.v1.Batch.entries"])
        .compile_fds(typed)?;
    Ok(())
}
