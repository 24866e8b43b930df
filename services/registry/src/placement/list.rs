//! Reading placements and their history.

use std::collections::HashMap;

use convenio_model::Ref;
use convenio_store::{Kind, ResourceRow, ViewKind, ViewRow};
use convenio_wire::registry::v1::{
    GetPlacementRequest, ListPlacementEventsRequest, ListPlacementEventsResponse, ListPlacementsRequest,
    ListPlacementsResponse, Placement, PlacementEvent,
};

use super::{COLLECTION, Case, Shown, positions, rows_of};
use crate::Registry;
use crate::caller::Caller;
use crate::error::RegistryError;
use crate::page::{List, Page, ordinal_ref, ref_ordinal};
use crate::resource::id_of;
use crate::row::decode;

impl Registry {
    /// Reads one placement.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn get_placement(
        &self,
        caller: &Caller,
        request: GetPlacementRequest,
    ) -> Result<Placement, RegistryError> {
        let case = self.case(id_of(COLLECTION, &request.name, "name")?).await?;
        let placement = self.shown(&case).await?;
        self.reading(caller.acting("Placement", "GetPlacement"), rows_of(&placement).collect()).await?;
        Ok(placement)
    }

    /// The agreement of a placement, for whoever decides whether a caller reaches it; shows nobody anything.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn agreement_of(&self, placement: &str) -> Result<String, RegistryError> {
        let case = self.case(id_of(COLLECTION, placement, "name")?).await?;
        Ok(case.exchange.pack().id().to_owned())
    }

    /// One page, ascending by id, of an agreement or in a state if the request names them.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn list_placements(
        &self,
        caller: &Caller,
        request: ListPlacementsRequest,
    ) -> Result<ListPlacementsResponse, RegistryError> {
        self.rules().request("convenio.registry.v1.ListPlacementsRequest", &request)?;
        let page = Page::parse(List::Placements, request.page_size, &request.page_token)?;
        let store = self.core().store();
        let mut views =
            store.views(ViewKind::Placement, &request.agreement, &request.state, page.after, page.limit()).await?;
        let next_page_token = page.cut(&mut views, |view| view.key.2);
        let mut rows = self.rows_of(&views, page.after).await?;
        let mut placements = Vec::with_capacity(views.len());
        for view in &views {
            let Some(exchange) = self.core().exchange(&view.key.0) else { continue };
            let case = Case::new(exchange.clone(), rows.remove(&view.key.2), view)?;
            placements.push(self.shown(&case).await?);
        }
        let rows = placements.iter().flat_map(rows_of).collect();
        self.reading(caller.acting("Placement", "ListPlacements"), rows).await?;
        Ok(ListPlacementsResponse { placements, next_page_token })
    }

    /// The acts of one placement, in the order of this node.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn list_placement_events(
        &self,
        caller: &Caller,
        request: ListPlacementEventsRequest,
    ) -> Result<ListPlacementEventsResponse, RegistryError> {
        let id = id_of(COLLECTION, &request.parent, "parent")?;
        let page = Page::parse(List::Events, request.page_size, &request.page_token)?;
        let after = page.after.map_or(0, ref_ordinal);
        let mut rows = self.core().store().events(id, after, page.limit()).await?;
        if rows.is_empty() {
            self.case(id).await?; // an unknown placement is an error, one without events is not
        }
        let next_page_token = page.cut(&mut rows, |row| ordinal_ref(row.ordinal));
        let events = rows.iter().map(|row| decode::<PlacementEvent>(&row.body, "event")).collect::<Result<_, _>>()?;
        self.reading(caller.acting("Placement", "ListPlacementEvents"), vec![(Kind::Placement, id)]).await?;
        Ok(ListPlacementEventsResponse { events, next_page_token })
    }

    /// A placement as it is committed.
    pub(crate) async fn case(&self, id: Ref) -> Result<Case, RegistryError> {
        let store = self.core().store();
        for view in store.views_of(ViewKind::Placement, id).await? {
            if let Some(exchange) = self.core().exchange(&view.key.0) {
                let row = store.resource((Kind::Placement, id)).await?;
                return Case::new(exchange.clone(), row, &view);
            }
        }
        Err(RegistryError::NotFound)
    }

    pub(crate) async fn shown(&self, case: &Case) -> Result<Placement, RegistryError> {
        Ok(case.show(&positions(&**self.core().store(), case).await?))
    }

    /// Rows of listed placements: mostly those of the same range of ids, in one read.
    async fn rows_of(&self, views: &[ViewRow], after: Option<Ref>) -> Result<HashMap<Ref, ResourceRow>, RegistryError> {
        let store = self.core().store();
        let limit = u32::try_from(views.len()).unwrap_or(u32::MAX);
        let range = store.resources(Kind::Placement, after, limit).await?;
        let read_to = range.last().map(|row| row.id);
        let complete = range.len() < views.len();
        let mut rows: HashMap<Ref, ResourceRow> = range.into_iter().map(|row| (row.id, row)).collect();
        for view in views {
            let id = view.key.2;
            if !complete && Some(id) > read_to {
                rows.extend(store.resource((Kind::Placement, id)).await?.map(|row| (id, row)));
            }
        }
        Ok(rows)
    }
}
