//! Read masks.

use prost_types::FieldMask;
use sui_rpc::field::{FieldMaskTree, FieldMaskUtil, MessageFields};
use tonic::Status;

const MAX_PATHS: usize = 200;
const MAX_PATH_CHARS: usize = 200;

/// The mask to read `M` with: the one asked for, or `default`.
pub(super) fn mask<M: MessageFields>(
    asked: Option<FieldMask>,
    default: &str,
) -> Result<FieldMaskTree, Status> {
    let mask = asked.unwrap_or_else(|| FieldMask::from_str(default));
    if mask.paths.len() > MAX_PATHS || mask.paths.iter().any(|path| path.len() > MAX_PATH_CHARS) {
        return Err(Status::invalid_argument("read_mask: too many or too long paths"));
    }
    mask.validate::<M>()
        .map_err(|path| Status::invalid_argument(format!("read_mask: there is no field {path:?}")))?;
    Ok(FieldMaskTree::from(mask))
}
