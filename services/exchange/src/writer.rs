//! The one writer: jobs that arrive while a commit runs are the next group, with no linger.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use convenio_store::{LogId, LogRow, Reads, Store, StoreError, Work};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use crate::core::Exchange;
use crate::error::OpenError;
use crate::journal::{self, Actor};
use crate::outbound::seal::Sealer;
use crate::outbound::sequence::Sequencer;

/// Jobs of one group at most.
const MAX_GROUP: usize = 256;
/// Jobs that may wait; past it callers wait (back-pressure).
const QUEUE: usize = 1024;

/// Head of one log, as committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// Own log: cosigned by the partner's mirror. Mirror: judged.
    pub settled: u64,
}

/// Heads of all logs after the last commit.
pub type Heads = Arc<HashMap<LogId, Head>>;

type Run = Box<dyn for<'a> FnOnce(&'a mut Work) -> BoxFuture<'a, (bool, Answer)> + Send>;
/// A job with whom it acts for.
struct Job {
    actor: Actor,
    foreseen: Foreseen,
    run: Run,
}

/// What a job is going to read: the jobs of a group read it together, in a few statements.
#[derive(Default)]
pub struct Foreseen {
    /// What the request alone tells.
    pub first: Reads,
    /// What those rows tell.
    pub then: Option<Then>,
}

/// Reads off the rows that were loaded which others are needed.
pub type Then = Box<dyn FnOnce(&Work) -> Reads + Send>;

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Handle to the writer's task.
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    heads: watch::Receiver<Heads>,
}

impl Writer {
    pub(crate) async fn start(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        exchanges: Vec<Arc<Exchange>>,
    ) -> Result<Self, OpenError> {
        let (logs, change) = {
            let mut tx = store.begin().await?;
            (tx.logs().await?, tx.last_change().await?)
        };
        let sequencer = Sequencer::open(store.as_ref(), sealer.clone(), exchanges, &logs).await?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (announce, heads) = watch::channel(heads_of(&logs));
        let task = Task { store, sealer, sequencer, logs, change, announce, stale: false };
        tokio::spawn(task.run(queue));
        Ok(Self { jobs, heads })
    }

    pub(crate) fn heads(&self) -> watch::Receiver<Heads> {
        self.heads.clone()
    }

    pub(crate) async fn write<T, E, F>(&self, actor: Actor, foreseen: Foreseen, job: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Work) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel::<Result<T, E>>();
        let run: Run = Box::new(move |work| {
            Box::pin(async move {
                let result = job(work).await;
                let keep = result.is_ok();
                let done: Answer = Box::new(move |committed| {
                    // A caller that went away does not undo what was committed.
                    let _ = answer.send(committed.map_err(E::from).and(result));
                });
                (keep, done)
            })
        });
        let stopped = || E::from(StoreError::Failed("the job was dropped".to_owned()));
        self.jobs.send(Job { actor, foreseen, run }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

struct Task {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    sequencer: Sequencer,
    logs: Vec<LogRow>,
    change: u64,
    announce: watch::Sender<Heads>,
    /// A commit failed and what is stored was not read again: nothing is committed before that.
    stale: bool,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::new();
        while queue.recv_many(&mut group, MAX_GROUP).await > 0 {
            if self.stale {
                self.look_again().await;
            }
            if self.stale {
                group.clear(); // their callers hear that they were dropped
                continue;
            }
            let mut answers = Vec::with_capacity(group.len());
            let outcome = self.group(std::mem::take(&mut group), &mut answers).await;
            if let Err(error) = &outcome {
                tracing::error!(reason = %error, "a group was not committed");
                self.look_again().await;
            }
            for answer in answers {
                answer(outcome.as_ref().map_err(repeat).copied());
            }
        }
    }

    async fn group(&mut self, jobs: Vec<Job>, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
        let tx = self.store.begin().await?;
        let mut work = Work::new(tx, self.logs.clone(), self.change);
        let mut journalled = Vec::new();
        let (foreseen, jobs): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.foreseen, (job.actor, job.run))).unzip();
        if let Err(error) = load(&mut work, foreseen).await {
            // Each job that needs one of these rows meets the error itself.
            tracing::warn!(reason = %error, "rows could not be read ahead");
        }
        for (actor, run) in jobs {
            work.begin_job();
            // A job that panics fails alone: its caller's channel closes, the group goes on without it.
            match AssertUnwindSafe(run(&mut work)).catch_unwind().await {
                Ok((true, answer)) => {
                    journalled.extend(journal::done(&mut work, actor));
                    work.keep_job();
                    answers.push(answer);
                }
                Ok((false, answer)) => {
                    work.drop_job();
                    answers.push(answer);
                }
                Err(_) => {
                    tracing::error!("a job panicked and was dropped");
                    work.drop_job();
                }
            }
        }
        journal::stage(&mut work, &self.sealer, journalled).await?;
        let sequenced = self.sequencer.sequence(&mut work).await?;
        self.flush_keys().await?;
        let committed = work.commit().await?;
        self.sequencer.committed(sequenced);
        self.logs = committed.logs;
        self.change = committed.last_change;
        self.announce.send_replace(heads_of(&self.logs));
        Ok(())
    }

    /// Data keys are durable before the rows that need them.
    async fn flush_keys(&self) -> Result<(), StoreError> {
        if !self.sealer.vault.has_unflushed() {
            return Ok(());
        }
        let vault = self.sealer.vault.clone();
        let flushed = tokio::task::spawn_blocking(move || vault.flush()).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            _ => Err(StoreError::Failed("the file of data keys cannot be written".to_owned())),
        }
    }

    /// After a failed or uncertain commit: look, then go on.
    async fn look_again(&mut self) {
        let looked = async {
            let (logs, change) = {
                let mut tx = self.store.begin().await?;
                (tx.logs().await?, tx.last_change().await?)
            };
            self.sequencer.reopen(self.store.as_ref(), &logs).await?;
            Ok::<_, StoreError>((logs, change))
        };
        match looked.await {
            Ok((logs, change)) => {
                (self.logs, self.change, self.stale) = (logs, change, false);
                self.announce.send_replace(heads_of(&self.logs));
            }
            Err(error) => {
                self.stale = true;
                tracing::error!(reason = %error, "the database cannot be read again");
            }
        }
    }
}

/// Reads ahead what the jobs of a group need, in two rounds.
async fn load(work: &mut Work, foreseen: Vec<Foreseen>) -> Result<(), StoreError> {
    let (mut first, mut then) = (Reads::default(), Vec::new());
    for job in foreseen {
        first.append(job.first);
        then.extend(job.then);
    }
    work.load(&first).await?;
    let mut second = Reads::default();
    then.into_iter().for_each(|then| second.append(then(work)));
    work.load(&second).await
}

fn heads_of(logs: &[LogRow]) -> Heads {
    Arc::new(logs.iter().map(|l| (l.id, Head { size: l.size, settled: l.settled })).collect())
}

fn repeat(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unusable(text) => StoreError::Unusable(text.clone()),
        StoreError::Failed(text) => StoreError::Failed(text.clone()),
        StoreError::Uncertain(text) => StoreError::Uncertain(text.clone()),
        StoreError::Corrupt(table) => StoreError::Corrupt(table),
    }
}
