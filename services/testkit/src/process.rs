//! A node as an operating-system process, to be killed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::sleep;

/// Looks for the address of a node that starts, 10 ms apart.
const LOOKS: u32 = 3000;

/// The process of one node. Dropping it kills it.
pub struct NodeProcess {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl NodeProcess {
    /// Starts `convenio node --config DIR/node.toml` and waits until it serves.
    ///
    /// # Errors
    /// It ended, or does not serve in half a minute; with the end of what it wrote.
    pub async fn start(convenio: &Path, dir: &Path) -> anyhow::Result<Self> {
        let address = dir.join("address");
        if address.exists() {
            fs::remove_file(&address)?;
        }
        let output = fs::OpenOptions::new().append(true).create(true).open(dir.join("node.out"))?;
        let mut command = Command::new(convenio);
        command.arg("node").arg("--config").arg(dir.join("node.toml")).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("{} cannot be started", convenio.display()))?;
        let mut process = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        for _ in 0..LOOKS {
            if let Some(status) = process.child.try_wait()? {
                bail!("the node of {} ended with {status}: {}", dir.display(), said(dir));
            }
            if let Some(address) = fs::read_to_string(&address).ok().and_then(|text| text.trim().parse().ok()) {
                process.address = address;
                return Ok(process);
            }
            sleep(Duration::from_millis(10)).await;
        }
        bail!("the node of {} does not serve: {}", dir.display(), said(dir));
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended, as it was told to.
    ///
    /// # Errors
    /// It does not in half a minute, or not in order.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        for _ in 0..LOOKS {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "the node ended with {status}");
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        bail!("the node does not end");
    }

    /// Peak resident memory, MiB; 0 where the system does not tell.
    #[must_use]
    pub fn peak_mib(&self) -> u64 {
        crate::drill::peak_mib(self.child.id())
    }

    /// SIGKILL: it can close nothing.
    ///
    /// # Errors
    /// It had ended by itself.
    pub fn kill(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("a node ended by itself: {status}");
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("node.out")).unwrap_or_default();
    let log = fs::read_to_string(dir.join("node.log")).unwrap_or_default();
    let last = |text: &str| text.lines().rev().take(5).collect::<Vec<_>>().join("\n");
    format!("{}\n{}", last(&text), last(&log))
}

/// The binary that cargo built beside this program.
#[must_use]
pub fn built_beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors().map(|dir| dir.join("convenio")).find(|path| path.is_file())
}
