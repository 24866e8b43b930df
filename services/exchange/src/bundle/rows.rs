//! Digests of the registry's rows, which the journal must tell: `<kind> <id hex> <revision> <sha256 hex>`, ascending.

use convenio_seal::journal::row_digest;
use convenio_store::{Kind, Store};

use super::ExportError;
use super::folder::Folder;

/// Rows read at a time.
const PAGE: u32 = 1000;

pub(super) async fn write(store: &dyn Store, folder: &mut Folder) -> Result<(), ExportError> {
    let mut file = folder.begin("rows")?;
    for kind in Kind::ALL {
        let (number, mut after) = (kind as u8, None);
        loop {
            let rows = store.resources(kind, after, PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            for row in &rows {
                let digest = hex::encode(row_digest(number, &row.id.0, row.revision, &row.body));
                let line = format!("{number} {} {} {digest}\n", hex::encode(row.id.0), row.revision);
                file.write(line.as_bytes())?;
            }
        }
    }
    folder.end(file)
}
