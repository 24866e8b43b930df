//! Makes the service stubs of `proto/convenio`; the messages are those of `convenio_wire`.
use std::path::Path;

/// Packages whose messages the stubs name, each with its module in `convenio_wire`.
const MESSAGES: [(&str, &str); 7] = [
    (".convenio.type.v1", "::convenio_wire::r#type::v1"),
    (".convenio.agreement.v1", "::convenio_wire::agreement::v1"),
    (".convenio.exchange.v1", "::convenio_wire::exchange::v1"),
    (".convenio.registry.v1", "::convenio_wire::registry::v1"),
    (".convenio.consular.v1", "::convenio_wire::consular::v1"),
    (".convenio.node.v1", "::convenio_wire::node::v1"),
    (".convenio.audit.v1", "::convenio_wire::audit::v1"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.join("convenio").display());
    let mut services = protox::compile(
        [
            "convenio/agreement/v1/negotiation.proto",
            "convenio/registry/v1/agency.proto",
            "convenio/registry/v1/crew.proto",
            "convenio/registry/v1/employer.proto",
            "convenio/registry/v1/job_order.proto",
            "convenio/registry/v1/worker.proto",
            "convenio/registry/v1/contract.proto",
            "convenio/registry/v1/placement.proto",
            "convenio/registry/v1/retention.proto",
            "convenio/consular/v1/consular_service.proto",
            "convenio/exchange/v1/exchange_service.proto",
            "convenio/node/v1/node_service.proto",
            "convenio/audit/v1/audit_service.proto",
        ],
        [&root],
    )?;
    services.file.retain(|file| file.package().starts_with("convenio."));
    let stubs = tonic_prost_build::configure().build_transport(false).include_file("convenio.rs");
    MESSAGES.iter().fold(stubs, |stubs, (proto, rust)| stubs.extern_path(*proto, *rust)).compile_fds(services)?;
    Ok(())
}
