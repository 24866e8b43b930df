//! What jobs are going to read, told before their group runs, so that the group reads it in a few statements.

use convenio_model::Ref;

use super::Work;
use crate::ports::StoreError;
use crate::rows::*;

/// Rows that a job is likely to read. What is missing here is read when the job asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Registry records.
    pub resources: Vec<ResourceKey>,
    /// Other systems' keys.
    pub externals: Vec<ExternalKey>,
    /// Answered requests.
    pub requests: Vec<RequestKey>,
    /// Views.
    pub views: Vec<ViewKey>,
    /// Subjects of data keys.
    pub subject_keys: Vec<Ref>,
}

impl Reads {
    /// Adds what another job reads.
    pub fn append(&mut self, other: Self) {
        self.resources.extend(other.resources);
        self.externals.extend(other.externals);
        self.requests.extend(other.requests);
        self.views.extend(other.views);
        self.subject_keys.extend(other.subject_keys);
    }
}

impl Work {
    /// Loads all of these, in one statement for each kind of row.
    ///
    /// # Errors
    /// From the database.
    pub async fn load(&mut self, reads: &Reads) -> Result<(), StoreError> {
        self.load_requests(&reads.requests).await?;
        self.load_resources(&reads.resources).await?;
        self.load_externals(&reads.externals).await?;
        self.load_views(&reads.views).await?;
        self.load_subject_keys(&reads.subject_keys).await
    }

    /// The record as the database has it, if it was loaded and exists.
    #[must_use]
    pub fn loaded_resource(&self, key: &ResourceKey) -> Option<&ResourceRow> {
        self.cache.resources.get(key)?.as_ref()
    }

    /// The view as the database has it, if it was loaded and exists.
    #[must_use]
    pub fn loaded_view(&self, key: &ViewKey) -> Option<&ViewRow> {
        self.cache.views.get(key)?.as_ref()
    }
}
