//! Values of a row, checked: what this node did not write is reported as corrupt, by table.

use convenio_model::Ref;
use convenio_store::{Kind, StoreError, Subject, ViewKind};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

/// A row of `table`; columns are counted from 0.
pub(super) struct Cells<'r> {
    row: &'r SqliteRow,
    table: &'static str,
}

impl<'r> Cells<'r> {
    pub fn new(row: &'r SqliteRow, table: &'static str) -> Self {
        Self { row, table }
    }

    pub fn bytes(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        self.value(column)
    }

    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        self.value(column)
    }

    pub fn integer(&self, column: usize) -> Result<i64, StoreError> {
        self.value(column)
    }

    pub fn number(&self, column: usize) -> Result<u64, StoreError> {
        u64::try_from(self.integer(column)?).map_err(|_| self.corrupt())
    }

    pub fn small<N: TryFrom<i64>>(&self, column: usize) -> Result<N, StoreError> {
        N::try_from(self.integer(column)?).map_err(|_| self.corrupt())
    }

    pub fn flag(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.integer(column)? != 0)
    }

    pub fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], StoreError> {
        self.value::<&[u8]>(column)?.try_into().map_err(|_| self.corrupt())
    }

    pub fn id(&self, column: usize) -> Result<Ref, StoreError> {
        self.array(column).map(Ref)
    }

    pub fn optional_id(&self, column: usize) -> Result<Option<Ref>, StoreError> {
        let bytes: Option<&[u8]> = self.value(column)?;
        bytes.map(Ref::from_slice).transpose().map_err(|_| self.corrupt())
    }

    pub fn kind(&self, column: usize) -> Result<Kind, StoreError> {
        const KINDS: [Kind; 10] = [
            Kind::Agency,
            Kind::Employer,
            Kind::JobOrder,
            Kind::Worker,
            Kind::Contract,
            Kind::Placement,
            Kind::Pairwise,
            Kind::WelfareContact,
            Kind::Refusal,
            Kind::Crew,
        ];
        let stored = self.integer(column)?;
        KINDS.into_iter().find(|kind| *kind as i64 == stored).ok_or_else(|| self.corrupt())
    }

    pub fn view_kind(&self, column: usize) -> Result<ViewKind, StoreError> {
        self.find_view_kind(self.integer(column)?)
    }

    /// The subject in two columns, both NULL if there is none.
    pub fn subject(&self, column: usize) -> Result<Option<Subject>, StoreError> {
        let kind: Option<i64> = self.value(column)?;
        match (kind, self.optional_id(column + 1)?) {
            (Some(kind), Some(id)) => Ok(Some(Subject { kind: self.find_view_kind(kind)?, id })),
            (None, None) => Ok(None),
            _ => Err(self.corrupt()),
        }
    }

    fn find_view_kind(&self, stored: i64) -> Result<ViewKind, StoreError> {
        const KINDS: [ViewKind; 5] =
            [ViewKind::Placement, ViewKind::Order, ViewKind::Agency, ViewKind::Crew, ViewKind::Quota];
        KINDS.into_iter().find(|kind| *kind as i64 == stored).ok_or_else(|| self.corrupt())
    }

    fn value<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, column: usize) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|_| self.corrupt())
    }

    fn corrupt(&self) -> StoreError {
        StoreError::Corrupt(self.table)
    }
}
