//! Erasures and holds in one line.

use convenio_exchange::erase::hold::{self, Hold, HoldError};
use convenio_exchange::erase::order::{self, EraseError, Ordered, OwnRecord, Progress, Which};
use convenio_exchange::erase::retention;
use convenio_exchange::journal::Actor;
use convenio_model::{RecordId, Ref, uuid_v4};
use convenio_store::PartRow;
use futures::FutureExt;

use crate::acts::Case;
use crate::side::Side;
use crate::treaty::SV_CA;

/// A month and a bit, ms.
pub const MONTH_MS: u64 = 31 * 86_400_000;

impl Side {
    /// Orders the erasure of one part of a record.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn erase(&self, record: RecordId, part: u32, ground: &str) -> Result<Ordered, EraseError> {
        let found = order::own_record(&self.core, self.exchange(SV_CA), record).await?;
        let mut ordered = self.order_erasure(vec![found], Some(part), String::new(), ground).await?;
        Ok(ordered.pop().unwrap())
    }

    /// Orders the erasure of one class of a placement.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn erase_class(&self, case: &Case, class: &str, ground: &str) -> Result<Vec<Ordered>, EraseError> {
        let exchange = self.exchange(&case.agreement);
        let mut records = Vec::new();
        for id in retention::own_records(&self.core, exchange, case.id).await? {
            match order::own_record(&self.core, exchange, id).await {
                Ok(record) => records.push(record),
                Err(EraseError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        self.order_erasure(records, None, class.to_owned(), ground).await
    }

    async fn order_erasure(
        &self,
        records: Vec<OwnRecord>,
        part: Option<u32>,
        class: String,
        ground: &str,
    ) -> Result<Vec<Ordered>, EraseError> {
        let (core, exchange, ground) = (self.core.clone(), self.exchange(SV_CA).clone(), ground.to_owned());
        let job = self.core.write::<_, EraseError, _>(move |work| {
            async move {
                let which = part.map_or(Which::Class(&class), Which::Part);
                order::order(work, &core, &exchange, &records, which, &ground).await
            }
            .boxed()
        });
        let ordered = job.await?;
        order::carried_out(&self.core).await;
        Ok(ordered)
    }

    /// Holds everything of a placement, or one class, for so many months.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn hold(&self, case: &Case, class: &str, months: u64) -> Result<Ref, HoldError> {
        let id: Ref = uuid_v4(self.core.entropy().as_ref()).into();
        let hold = Hold {
            id: id.0.to_vec(),
            class: class.to_owned(),
            ground: "litigation".to_owned(),
            expires_ms: self.core.clock().now_ms() + months * MONTH_MS,
            ..Hold::default()
        };
        hold::place(&self.core, Actor::system(), self.exchange(&case.agreement), case.id, hold).await.map(|_| id)
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn release(&self, case: &Case, hold: Ref) -> Result<(), HoldError> {
        let exchange = self.exchange(&case.agreement);
        hold::release(&self.core, Actor::system(), exchange, case.id, hold).await.map(drop)
    }

    /// How far an erasure has come, and why it was refused.
    pub async fn progress(&self, ordered: &Ordered) -> (Progress, String) {
        let (core, exchange) = (&self.core, self.exchange(&ordered.agreement));
        let id = Ref::from_slice(&ordered.record_id).unwrap();
        let ordered = order::ordered(core, exchange, id, ordered.part).await.unwrap().unwrap();
        (order::progress(core, exchange, &ordered).await.unwrap(), ordered.reason)
    }

    /// Looks for what is due, as the node does every hour.
    pub async fn retention_pass(&self) {
        retention::pass(&self.core).await.unwrap();
    }

    /// Whether a part of a record stands as erased wherever the record does.
    pub async fn is_marked_erased(&self, record: RecordId, part: u32) -> bool {
        let rows = self.stored(record).await;
        let mut of_part = rows.iter().filter(|row| row.part == part).peekable();
        of_part.peek().is_some() && of_part.all(|row| row.sealed == b"ERASED")
    }

    /// The stored parts of a record, wherever it stands.
    pub async fn stored(&self, record: RecordId) -> Vec<PartRow> {
        let mut rows = Vec::new();
        for (log, index) in self.core.store().record(record).await.unwrap() {
            rows.extend(self.core.store().parts(log, index, index + 1).await.unwrap());
        }
        rows
    }
}
