use std::collections::BTreeSet;

use futures::stream::TryStreamExt as _;
use serde::Deserialize;
use serde_json::Value;
use sui_rpc::field::{FieldMask, FieldMaskUtil as _};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Owner};

use crate::client::{MAX_PAGES, parse};
use crate::{
    AdminCap, Checkpoint, Client, Cluster, Cursor, Error, Governance, Money, MoveObject, Names, State,
};

/// How often everything is read again because the chain has changed meanwhile.
const ATTEMPTS: usize = 10;
const PAGE: u32 = 1000;

/// State that was read from objects, because the events that lead to it are no longer there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// What is on chain at the cursor.
    pub state: State,
    /// Where to go on.
    pub cursor: Cursor,
    /// Checkpoints whose events nobody has: `from..to`. Nodes are complete all the same, as the table of their
    /// names is on chain. A user's or administrator's stake, a grant or an escrow that was made there and never
    /// touched since is not known.
    pub unseen: Option<(u64, u64)>,
}

/// `0x2::dynamic_field::Field<String, ID>`.
#[derive(Deserialize)]
struct NameField {
    _id: Address,
    name: String,
    stake: Address,
}

/// Ids of objects by what they are.
#[derive(Default)]
struct Found {
    stakes: BTreeSet<Address>,
    tokens: BTreeSet<Address>,
    grants: BTreeSet<Address>,
    enclaves: BTreeSet<Address>,
    epochs: BTreeSet<Address>,
    shards: BTreeSet<Address>,
    escrows: BTreeSet<Address>,
    cases: BTreeSet<Address>,
}

impl Client {
    /// The node names of a cluster and the stakes that they are pinned to, read page by page.
    ///
    /// # Errors
    /// When no endpoint answers, or one answers with something else than node names.
    pub async fn pinned_stakes(&self, names: &Names) -> Result<Vec<(String, Address)>, Error> {
        let fields = self.anywhere(|at| at.dynamic_fields_here(names.table)).await?;
        let mut pinned = Vec::with_capacity(fields.len());
        for object in self.objects(&fields).await?.into_values() {
            let data =
                object.as_struct().ok_or_else(|| Error::malformed("dynamic field", "it is a package"))?;
            let field: NameField =
                bcs::from_bytes(data.contents()).map_err(|error| Error::malformed("dynamic field", error))?;
            pinned.push((field.name, field.stake));
        }
        pinned.sort();
        Ok(pinned)
    }

    async fn dynamic_fields_here(self, parent: Address) -> Result<Vec<Address>, Error> {
        const CALL: &str = "ListDynamicFields";
        let mut request = proto::ListDynamicFieldsRequest::default()
            .with_parent(parent.to_string())
            .with_page_size(PAGE)
            .with_read_mask(FieldMask::from_paths(["field_id"]));
        let mut ids = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = self
                .rpc()
                .state_client()
                .list_dynamic_fields(request.clone())
                .await
                .map_err(|status| self.error(CALL, None, status))?
                .into_inner();
            for field in &answer.dynamic_fields {
                ids.push(parse(CALL, field.field_id.as_deref())?);
            }
            match answer.next_page_token {
                Some(token) if !token.is_empty() => request.page_token = Some(token),
                _ => return Ok(ids),
            }
        }
        Err(Error::malformed(CALL, "the listing does not end"))
    }

    /// Reads the state of a cluster from its objects, when the events before were dropped: what `known` names,
    /// what the events that are left name, and all nodes. `next` is the checkpoint that came next when `known`
    /// was up to date.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the cluster is not on this chain, [`Error::Invalid`] when the chain changes faster
    /// than it can be read, and when no endpoint answers.
    pub async fn rebuild(&self, package: Address, known: &State, next: u64) -> Result<Rebuilt, Error> {
        self.anywhere(|at| at.rebuild_here(package, known, next)).await
    }

    async fn rebuild_here(self, package: Address, known: &State, next: u64) -> Result<Rebuilt, Error> {
        let info = self.service_info().await?;
        let lowest = info.lowest_available_checkpoint;
        let mut found = Found::default();
        found.known(known);
        // Left out are only events that no endpoint has.
        let mut from = next.max(lowest);
        for _ in 0..ATTEMPTS {
            let height = self.service_info().await?.checkpoint_height;
            for checkpoint in self.changes(package, from, height.saturating_add(1)).await? {
                checkpoint.events.iter().for_each(|at| found.event(&at.event.to_json().unwrap_or_default()));
            }
            let state = self.read_state(package, known.id, &mut found).await?;
            let now = self.service_info().await?.checkpoint_height;
            if self.changes(package, height.saturating_add(1), now.saturating_add(1)).await?.is_empty() {
                let cursor = Cursor { chain_id: info.chain_id, next: now.saturating_add(1) };
                return Ok(Rebuilt { state, cursor, unseen: (lowest > next).then_some((next, lowest)) });
            }
            from = height.saturating_add(1);
        }
        Err(Error::Invalid("the chain changes faster than its objects can be read; try again".to_owned()))
    }

    /// Checkpoints of `next..end` with events of ours.
    async fn changes(&self, package: Address, next: u64, end: u64) -> Result<Vec<Checkpoint>, Error> {
        let mut covered = next;
        let mut changes = Vec::new();
        let mut pieces = self.selected(package, next, end);
        while let Some(piece) = pieces.try_next().await? {
            covered = piece.covered;
            changes.extend(piece.checkpoint);
        }
        for sequence in covered..end {
            let checkpoint = self.checkpoint(package, sequence).await?;
            if !checkpoint.events.is_empty() {
                changes.push(checkpoint);
            }
        }
        Ok(changes)
    }

    async fn read_state(&self, package: Address, id: Address, found: &mut Found) -> Result<State, Error> {
        let cluster: Cluster = self.read(package, id).await?;
        let names: Names = self.read(package, cluster.names).await?;
        let governance: Governance = self.read(package, cluster.governance).await?;
        found.stakes.extend(self.pinned_stakes(&names).await?.into_iter().map(|(_, stake)| stake));
        found.enclaves.extend(cluster.enclave);
        let mut state = State::new(id);
        state.stakes = self.all(package, &found.stakes).await?;
        found.tokens.extend(state.stakes.values().filter_map(|stake| stake.token));
        state.tokens = self.all(package, &found.tokens).await?;
        // A token outlives its stake, and speaks for nothing then.
        state
            .tokens
            .retain(|id, token| state.stakes.get(&token.stake).is_some_and(|stake| stake.token == Some(*id)));
        state.grants = self.all(package, &found.grants).await?;
        state.enclaves = self.all(package, &found.enclaves).await?;
        state.registry = Some(self.read(package, cluster.registry).await?);
        state.money = Money {
            economics: Some(governance.economics),
            pending: governance.pending,
            offers: governance.offers.iter().map(|offer| (offer.cap, offer.recipient)).collect(),
            pool: Some(self.read(package, cluster.pool).await?),
            insurance: Some(self.read(package, cluster.insurance).await?),
            anchor: Some(self.read(package, cluster.anchor).await?),
            epochs: self.all(package, &found.epochs).await?,
            shards: self.all(package, &found.shards).await?,
            escrows: self.all(package, &found.escrows).await?,
            cases: self.all(package, &found.cases).await?,
        };
        let caps: Vec<Address> = governance.caps.iter().map(|live| live.cap).collect();
        for (id, object) in self.objects(&caps).await? {
            if let Owner::Address(holder) = object.owner() {
                let cap: AdminCap = crate::objects::decode(package, &object)?;
                state.caps.insert(id, (cap, *holder));
            }
        }
        state.cluster = Some(cluster);
        Ok(state)
    }

    async fn all<T: MoveObject>(
        &self,
        package: Address,
        ids: &BTreeSet<Address>,
    ) -> Result<std::collections::BTreeMap<Address, T>, Error> {
        let ids: Vec<Address> = ids.iter().copied().collect();
        self.read_all(package, &ids).await
    }
}

impl Found {
    fn known(&mut self, state: &State) {
        self.stakes.extend(state.stakes.keys());
        self.tokens.extend(state.tokens.keys());
        self.grants.extend(state.grants.keys());
        self.enclaves.extend(state.enclaves.keys());
        self.epochs.extend(state.money.epochs.keys());
        self.shards.extend(state.money.shards.keys());
        self.escrows.extend(state.money.escrows.keys());
        self.cases.extend(state.money.cases.keys());
    }

    /// Whatever an event names.
    fn event(&mut self, event: &Value) {
        let id = |name: &str| -> Option<Address> { event.get(name)?.as_str()?.parse().ok() };
        self.stakes.extend(id("stake").filter(|_| event.get("shard").is_none()));
        self.tokens.extend(id("token"));
        self.grants.extend(id("grant"));
        self.enclaves.extend(id("enclave"));
        self.epochs.extend(id("epoch"));
        self.shards.extend(id("shard"));
        self.escrows.extend(id("escrow"));
        self.cases.extend(id("case"));
    }
}
