/// What the contracts say has happened. Enough to rebuild all of their state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An event of our package that this version does not know or cannot decode.
    Unknown {
        /// `module::Name`.
        name: String,
        /// Its BCS bytes.
        contents: Vec<u8>,
    },
}

impl Event {
    /// Decodes an event of our package. Never fails: what is not understood is [`Event::Unknown`].
    pub fn decode(event: &sui_sdk_types::Event) -> Event {
        Event::Unknown {
            name: format!("{}::{}", event.type_.module(), event.type_.name()),
            contents: event.contents.clone(),
        }
    }
}
