//! The text of a frame: one byte for its kind, then commands, each behind its length.

use bytes::{Buf, Bytes};
use prost::Message;

use crate::mvcc::Command;

/// The only kind so far: commands in the order in which they are applied.
const COMMANDS: u8 = 0;

/// Why an authentic frame cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameTextError {
    #[error("unknown kind of record {0:?}; a newer k3s-daas wrote it")]
    Kind(Option<u8>),
    #[error("undecodable command")]
    Command(#[from] prost::DecodeError),
    #[error("unknown command; a newer k3s-daas wrote it")]
    UnknownCommand,
}

/// Appends one command to the text of a frame; `first` says that it begins it.
pub(crate) fn write_command(text: &mut Vec<u8>, first: bool, command: &Command) {
    if first {
        text.push(COMMANDS);
    }
    text.reserve(command.encoded_len() + 5);
    command.encode_length_delimited(text).expect("a vector grows");
}

/// The commands of a frame.
pub(crate) fn read_commands(text: Vec<u8>) -> Result<Vec<Command>, FrameTextError> {
    let mut text = Bytes::from(text);
    if !text.has_remaining() {
        return Err(FrameTextError::Kind(None));
    }
    let kind = text.get_u8();
    if kind != COMMANDS {
        return Err(FrameTextError::Kind(Some(kind)));
    }
    let mut commands = Vec::new();
    while text.has_remaining() {
        let command = Command::decode_length_delimited(&mut text)?;
        if command.op.is_none() {
            return Err(FrameTextError::UnknownCommand);
        }
        commands.push(command);
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(text in proptest::collection::vec(any::<u8>(), 0..512)) {
            if let Ok(commands) = read_commands(text) {
                prop_assert!(commands.iter().all(|command| command.op.is_some()));
            }
        }
    }
}
