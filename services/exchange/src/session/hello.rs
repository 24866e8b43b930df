//! HELLO: who speaks, how far each mirror reaches, and the cosignatures that may have been lost
//! (model: `hello_cosigned`).

use std::sync::Arc;

use convenio_wire::exchange::v1::{Hello, Mirrored};

use super::SessionEnd;
use crate::core::{Core, Exchange};

const PROTOCOL: u32 = 1;
const MAX_LOGS: usize = 256;

pub(super) async fn ours(core: &Core, exchanges: &[Arc<Exchange>]) -> Result<Hello, SessionEnd> {
    let logs = core.store.logs().await?;
    let mirrored = exchanges.iter().filter_map(|exchange| {
        let log = logs.iter().find(|l| l.id == exchange.peer().log)?;
        Some(Mirrored {
            origin: exchange.peer().origin.clone(),
            size: log.size,
            cosigned_checkpoint: log.cosigned.clone(),
        })
    });
    let mut session = vec![0; 16];
    core.sealer.entropy.fill(&mut session);
    Ok(Hello {
        protocol: PROTOCOL,
        session,
        node: core.node.clone(),
        mirrored: mirrored.collect(),
        digests: exchanges
            .iter()
            .flat_map(|ex| ex.versions().map(|pack| pack.digest().to_vec()))
            .take(MAX_LOGS)
            .collect(),
        deliver_here: false,
    })
}

/// What is wrong with a HELLO of `partner`.
pub(super) fn acceptable(hello: &Hello, partner: &str) -> Result<(), &'static str> {
    if hello.protocol != PROTOCOL {
        return Err("PROTOCOL_VERSION");
    }
    if hello.node != partner {
        return Err("WRONG_NODE");
    }
    if hello.mirrored.len() > MAX_LOGS || hello.digests.len() > MAX_LOGS || hello.session.len() != 16 {
        return Err("HELLO_LIMITS");
    }
    Ok(())
}

/// A reason as the partner gave it, cut to what may stand in a log line.
pub(super) fn bounded(reason: &str) -> String {
    reason.chars().filter(|c| c.is_ascii_uppercase() || *c == '_').take(64).collect()
}
