//! The state of the link, shared by all connections, and the pump that obeys it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Direction;

const CHUNK: usize = 16 * 1024;
/// Chunks that may be under way in a delayed direction: bounds memory, and a link has a capacity.
const IN_FLIGHT: usize = 64;

#[derive(Clone, Debug, Default)]
pub(crate) struct Mode {
    pub(crate) cut: bool,
    pub(crate) paused: bool,
    pub(crate) lose_answers: bool,
    pub(crate) delay: Duration,
}

pub(crate) struct Link {
    mode: watch::Sender<Mode>,
    accounts: Mutex<Accounts>,
}

struct Accounts {
    forwarded: [u64; 2],
    /// Bytes still allowed, for each direction.
    left: [Option<u64>; 2],
    /// Cancelled to close the connections opened since it was made.
    epoch: CancellationToken,
}

impl Default for Link {
    fn default() -> Self {
        let accounts = Accounts { forwarded: [0; 2], left: [None; 2], epoch: CancellationToken::new() };
        Self { mode: watch::Sender::new(Mode::default()), accounts: Mutex::new(accounts) }
    }
}

impl Link {
    pub(crate) fn mode(&self) -> Mode {
        self.mode.borrow().clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Mode)) {
        self.mode.send_modify(change);
    }

    pub(crate) fn forwarded(&self, direction: Direction) -> u64 {
        self.accounts().forwarded[direction as usize]
    }

    pub(crate) fn limit(&self, bytes: u64, direction: Direction) {
        self.accounts().left[direction as usize] = Some(bytes);
        if bytes == 0 {
            self.cut();
        }
    }

    pub(crate) fn cut(&self) {
        let mut accounts = self.accounts();
        self.change(|mode| mode.cut = true);
        accounts.close_all();
    }

    pub(crate) fn heal(&self) {
        let mut accounts = self.accounts();
        accounts.left = [None; 2];
        if self.mode().lose_answers {
            accounts.close_all();
        }
        self.change(|mode| *mode = Mode::default());
    }

    /// What closes a connection that opens now; `None` if it may not open.
    pub(crate) fn open_epoch(&self) -> Option<CancellationToken> {
        // Under the lock, so that no connection slips in between a cut and its closing.
        let accounts = self.accounts();
        (!self.mode().cut).then(|| accounts.epoch.clone())
    }

    /// Carries one direction of one connection to its end. A reader and a writer run side by side,
    /// so that a delay is latency and not a throttle.
    pub(crate) async fn pump(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        direction: Direction,
    ) -> io::Result<()> {
        let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
        let read = async move {
            loop {
                let mut chunk = vec![0; CHUNK];
                let length = from.read(&mut chunk).await?;
                chunk.truncate(length);
                // An empty chunk is the end of the stream, which takes the same time to arrive.
                let due = Instant::now() + self.mode().delay;
                if sender.send((due, chunk)).await.is_err() || length == 0 {
                    return Ok(());
                }
            }
        };
        let write = async {
            while let Some((due, chunk)) = chunks.recv().await {
                sleep_until(due).await;
                self.flowing().await;
                if chunk.is_empty() {
                    return to.shutdown().await;
                }
                self.forward(&mut to, &chunk, direction).await?;
            }
            Ok(())
        };
        tokio::try_join!(read, write).map(drop)
    }

    async fn forward(&self, to: &mut OwnedWriteHalf, chunk: &[u8], direction: Direction) -> io::Result<()> {
        if direction == Direction::ToClient && self.mode().lose_answers {
            return Ok(());
        }
        let (allowed, last) = self.accounts().take(chunk.len(), direction);
        to.write_all(&chunk[..allowed]).await?;
        if last {
            // An orderly end, as a reset could overtake the bytes that were still allowed.
            to.shutdown().await?;
            self.cut();
        }
        Ok(())
    }

    async fn flowing(&self) {
        // Fails only without a sender, and `self` holds it.
        let _ = self.mode.subscribe().wait_for(|mode| !mode.paused).await;
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        // Nothing panics while it holds the lock.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    fn close_all(&mut self) {
        std::mem::take(&mut self.epoch).cancel();
    }

    /// How many of `wanted` bytes may pass, and whether they are the last.
    fn take(&mut self, wanted: usize, direction: Direction) -> (usize, bool) {
        let left = &mut self.left[direction as usize];
        let allowed = left.map_or(wanted, |left| wanted.min(left.try_into().unwrap_or(usize::MAX)));
        let mut last = false;
        if let Some(left) = left {
            *left -= allowed as u64;
            last = *left == 0;
        }
        self.forwarded[direction as usize] += allowed as u64;
        (allowed, last)
    }
}
