use chain::{Client, Draft, Parties, Receipt, Signed};

use crate::failure::{Context as _, Failure, Result};
use crate::session::refusal;
use crate::state_dir::StateDir;

/// Executes what must not happen twice, even over a crash: the signed transaction is on disk before it is sent,
/// and a later run sends the same bytes, not new ones. [`forget`] it once its outcome is on disk.
pub(crate) async fn once(
    state: &StateDir,
    client: &Client,
    parties: Parties<'_>,
    draft: &Draft,
    name: &str,
    doing: &str,
) -> Result<Receipt> {
    let file = file(name);
    let path = state.path(&file);
    let signed = match std::fs::read(&path) {
        Ok(bytes) => Signed::from_bytes(&bytes).context(format_args!("reading {}", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let signed = client.prepare(parties, draft).await.map_err(|error| refusal(error, doing))?;
            state.write(&file, &signed.to_bytes().context(doing)?)?;
            signed
        }
        Err(error) => return Err(Failure::failed(format!("reading {}: {error}", path.display()))),
    };
    match client.submit(&signed).await {
        Ok(receipt) => Ok(receipt),
        // Proven to have had no effect, now or later: the next run may build a new one.
        Err(error) if error.took_no_effect() => {
            forget(state, name)?;
            Err(refusal(error, doing))
        }
        Err(error) => Err(refusal(error, doing)),
    }
}

/// Ends the memory of [`once`].
pub(crate) fn forget(state: &StateDir, name: &str) -> Result<()> {
    let path = state.path(file(name));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::failed(format!("removing {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

fn file(name: &str) -> String {
    format!("pending/{name}.tx")
}
