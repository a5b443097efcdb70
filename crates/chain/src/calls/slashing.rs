use sui_sdk_types::Address;

use super::{Admin, Calls};
use crate::{Draft, EnclaveStatement, Evidence, SignedNodeStatement};

const MODULE: &str = "slashing";

/// The objects that a penalty is judged by: stake, cluster, governance and registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Court {
    /// The [`Cluster`](crate::Cluster).
    pub cluster: Address,
    /// Its [`Governance`](crate::Governance).
    pub governance: Address,
    /// Its [`Registry`](crate::Registry).
    pub registry: Address,
}

impl Calls {
    /// `slashing::propose`, or `slashing::propose_measurement` when the evidence names a measurement: proposes
    /// the penalty for what an enclave saw. Look for [`Event::SlashProposed`](crate::Event::SlashProposed).
    pub fn propose_penalty(&self, court: Court, stated: &EnclaveStatement<Evidence>) -> Draft {
        let evidence = &stated.statement;
        let function = match evidence.measurement {
            Some(_) => "propose_measurement",
            None => "propose",
        };
        let call = self
            .entry(MODULE, function)
            .write(evidence.stake)
            .read(court.cluster)
            .read(court.governance)
            .read(court.registry)
            .read(stated.enclave);
        let call = match &evidence.measurement {
            Some(measurement) => call
                .pure(&measurement.platform)
                .pure(&measurement.names)
                .pure(&measurement.values)
                .pure(&evidence.from_ms)
                .pure(&evidence.to_ms),
            None => call
                .pure(&evidence.reason)
                .pure(&evidence.from_ms)
                .pure(&evidence.to_ms)
                .pure(&evidence.up_ms),
        };
        call.pure(&evidence.digest)
            .pure(&evidence.locator)
            .pure(&evidence.reporter)
            .pure(&stated.timestamp_ms)
            .pure(&stated.signature)
            .at_now()
    }

    /// `slashing::propose_contradiction`: proposes the penalty for two statements of a key of `stake` that do not
    /// say the same. The sender reports it. Subject and sequence number are taken from the first.
    pub fn propose_contradiction(
        &self,
        court: Court,
        stake: Address,
        public_key: &[u8; 32],
        first: &SignedNodeStatement,
        second: &SignedNodeStatement,
    ) -> Draft {
        self.entry(MODULE, "propose_contradiction")
            .write(stake)
            .read(court.cluster)
            .read(court.governance)
            .pure(&first.statement.token)
            .pure(public_key.as_slice())
            .pure(&first.statement.subject)
            .pure(&first.statement.sequence)
            .pure(&first.timestamp_ms)
            .pure(&first.statement.digest)
            .pure(&first.signature)
            .pure(&second.timestamp_ms)
            .pure(&second.statement.digest)
            .pure(&second.signature)
            .at_now()
    }

    /// `slashing::contest`: contests a penalty before it can be executed. `statement` is the SHA-256 of what the
    /// staker has to say.
    pub fn contest(&self, case: Address, statement: &[u8; 32]) -> Draft {
        self.entry(MODULE, "contest").write(case).pure(statement.as_slice()).at_now()
    }

    /// `slashing::execute`: executes a penalty whose time has come; anybody may.
    pub fn execute_penalty(
        &self,
        case: Address,
        stake: Address,
        cluster: Address,
        insurance: Address,
    ) -> Draft {
        self.entry(MODULE, "execute").write(case).write(stake).read(cluster).write(insurance).at_now()
    }

    /// `slashing::dismiss`: governance drops a penalty.
    pub fn dismiss(&self, case: Address, stake: Address, admin: Admin) -> Draft {
        self.entry(MODULE, "dismiss").write(case).write(stake).admin(admin).at_now()
    }

    /// `slashing::lapse`: frees a stake of a penalty that was not executed in time; anybody may.
    pub fn lapse(&self, case: Address, stake: Address) -> Draft {
        self.entry(MODULE, "lapse").write(case).write(stake).at_now()
    }
}
