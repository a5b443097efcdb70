use chain::{
    AdminCap, Anchor, Case, Enclave, Epoch, Escrow, Governance, Grant, Insurance, MoveObject, Pool,
    SealToken, Shard, Stake, State,
};

use super::World;

/// What was folded from events alone is, object by object, what is on chain.
pub(crate) async fn assert_state_is_the_chain(world: &World) -> State {
    let state = world.state().await;
    let (client, package, cluster) = (&world.client, world.package(), &world.cluster);
    let money = &state.money;
    assert_eq!(state.cluster.as_ref().unwrap(), &client.read(package, cluster.id).await.unwrap());
    assert_eq!(state.registry.as_ref().unwrap(), &client.read(package, cluster.registry).await.unwrap());
    same::<Stake>(world, &state.stakes).await;
    same::<SealToken>(world, &state.tokens).await;
    same::<Grant>(world, &state.grants).await;
    same::<Enclave>(world, &state.enclaves).await;
    same::<Epoch>(world, &money.epochs).await;
    same::<Shard>(world, &money.shards).await;
    same::<Escrow>(world, &money.escrows).await;
    same::<Case>(world, &money.cases).await;
    let pool: Pool = client.read(package, cluster.pool).await.unwrap();
    assert_eq!(money.pool, Some(pool));
    let insurance: Insurance = client.read(package, cluster.insurance).await.unwrap();
    assert_eq!(money.insurance, Some(insurance));
    let anchor: Anchor = client.read(package, cluster.anchor).await.unwrap();
    assert_eq!(money.anchor, Some(anchor));

    let governance: Governance = client.read(package, cluster.governance).await.unwrap();
    assert_eq!(money.economics.as_ref(), Some(&governance.economics));
    assert_eq!(money.pending, governance.pending);
    assert_eq!(money.offers, governance.offers.iter().map(|offer| (offer.cap, offer.recipient)).collect());
    let mut live: Vec<_> = governance.caps.iter().map(|live| live.cap).collect();
    live.sort();
    assert_eq!(state.caps.keys().copied().collect::<Vec<_>>(), live);
    for (cap, holder) in state.caps.values() {
        assert_eq!(client.read_owned::<AdminCap>(package, *holder).await.unwrap().get(&cap.id), Some(cap));
    }
    state
}

async fn same<T: MoveObject + PartialEq + std::fmt::Debug>(
    world: &World,
    folded: &std::collections::BTreeMap<chain::Address, T>,
) {
    let ids: Vec<_> = folded.keys().copied().collect();
    let on_chain = world.client.read_all::<T>(world.package(), &ids).await.unwrap();
    assert_eq!(&on_chain, folded, "{}", T::NAME);
}
