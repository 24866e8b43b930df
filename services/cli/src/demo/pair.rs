//! The two states of a demonstration: folder, links and nodes, none of them started yet.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_faultproxy::FaultProxy;

use super::DemoArgs;
use super::progress::Progress;
use super::scenario::State;
use super::setup::Layout;
use super::side::Side;

/// The two states.
pub struct Pair {
    pub layout: Layout,
    pub origin: Arc<Side>,
    pub destination: Arc<Side>,
}

impl Pair {
    /// Makes the folder: each node reaches the other over a link that can be cut.
    ///
    /// # Errors
    /// A folder that is not empty, or what a step said.
    pub async fn prepare(
        args: &DemoArgs,
        states: [&State; 2],
        pack: &Pack,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let dir = match &args.dir {
            Some(dir) => dir.clone(),
            // Kept: the reader is told what to try with it.
            None => tempfile::Builder::new().prefix("convenio-demo-").tempdir()?.keep(),
        };
        // Where nothing listens, until the node behind it has a port.
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let (to_origin, to_destination) = (FaultProxy::start(nowhere).await?, FaultProxy::start(nowhere).await?);
        let layout = Layout::make(&dir, &args.agreements, states, pack, to_destination.addr(), to_origin.addr())?;
        progress.line(&format!(
            "Two authorities, two roots, {} ratified by both: {}",
            args.agreement,
            layout.dir.display()
        ));
        let side = |state, link| Side::new(state, Arc::new(link), args.seed).map(Arc::new);
        let origin = side(&layout.origin, to_origin)?;
        let destination = side(&layout.destination, to_destination)?;
        Ok(Self { layout, origin, destination })
    }
}
