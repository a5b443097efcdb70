use serde::Serialize;
use sui_sdk_types::{Address, Argument};

use super::{Admin, CLOCK, Calls};
use crate::Draft;

/// A call of one entry function, its arguments put down one after the other.
pub(super) struct Entry {
    draft: Draft,
    package: Address,
    module: &'static str,
    function: &'static str,
    arguments: Vec<Argument>,
}

impl Calls {
    pub(super) fn entry(&self, module: &'static str, function: &'static str) -> Entry {
        Entry { draft: Draft::new(), package: self.package, module, function, arguments: Vec::new() }
    }
}

impl Entry {
    /// An object that is read, or an owned one that is taken.
    pub(super) fn read(mut self, id: Address) -> Entry {
        let argument = self.draft.object(id);
        self.with(argument)
    }

    /// An object that is changed, or a shared one that is taken.
    pub(super) fn write(mut self, id: Address) -> Entry {
        let argument = self.draft.object_mut(id);
        self.with(argument)
    }

    /// The governance, read, and the capability.
    pub(super) fn admin(self, admin: Admin) -> Entry {
        self.read(admin.governance).read(admin.cap)
    }

    pub(super) fn pure<T: Serialize + ?Sized>(mut self, value: &T) -> Entry {
        let argument = self.draft.pure(value);
        self.with(argument)
    }

    /// A coin of so many MIST out of the wallet.
    pub(super) fn coin(mut self, mist: u64) -> Entry {
        let argument = self.draft.split_gas(mist);
        self.with(argument)
    }

    /// The result of an earlier call.
    pub(super) fn with(mut self, argument: Argument) -> Entry {
        self.arguments.push(argument);
        self
    }

    /// Ends with the clock, as most entries do.
    pub(super) fn at_now(self) -> Draft {
        self.read(CLOCK).draft()
    }

    pub(super) fn draft(mut self) -> Draft {
        self.draft.call(self.package, self.module, self.function, vec![], self.arguments);
        self.draft
    }
}
