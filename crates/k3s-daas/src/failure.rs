use std::fmt;

/// Why a command ends without having done its work, and the exit code that says so.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Failed = 1,
    Usage = 2,
    Refused = 3,
    NotReady = 4,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Failed, message: message.to_string() }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Usage, message: message.to_string() }
    }

    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Refused, message: message.to_string() }
    }

    pub(crate) fn not_ready(message: impl fmt::Display) -> Self {
        Self { kind: Kind::NotReady, message: message.to_string() }
    }

    /// Passes on how another run of ours ended.
    pub(crate) fn of_code(code: i32, message: impl fmt::Display) -> Self {
        let kind = match code {
            2 => Kind::Usage,
            3 => Kind::Refused,
            4 => Kind::NotReady,
            _ => Kind::Failed,
        };
        Self { kind, message: message.to_string() }
    }

    /// The same, with what was being done in front.
    pub(crate) fn during(self, doing: impl fmt::Display) -> Self {
        Self { kind: self.kind, message: format!("{doing}: {}", self.message) }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.kind as u8
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An error with every cause behind it, each said once.
pub(crate) fn text(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    // A gRPC status repeats, less readably, what the error above it says already.
    while let Some(error) = cause.filter(|error| !error.is::<tonic::Status>()) {
        let text = error.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

/// Says what was being done when something went wrong, with every cause behind it.
pub(crate) trait Context<T> {
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: std::error::Error> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::failed(format!("{doing}: {}", text(&error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_names_the_act_and_every_cause_once() {
        let error = std::io::Error::other(std::io::Error::other("disk full"));
        let failure = Err::<(), _>(error).context("writing the deployment").unwrap_err();
        assert_eq!(failure.to_string(), "writing the deployment: disk full");
        assert_eq!(failure.exit_code(), 1);
    }
}
