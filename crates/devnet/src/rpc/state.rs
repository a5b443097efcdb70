//! `StateService`: what an address or an object owns, and coins.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sui_rpc::field::FieldMaskTree;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::coin_treasury::SupplyState;
use sui_rpc::proto::sui::rpc::v2::dynamic_field::DynamicFieldKind;
use sui_rpc::proto::sui::rpc::v2::state_service_server::StateService;
use sui_sdk_types::{Address, MoveStruct, StructTag, TypeTag};
use tonic::{Request, Response, Status};

use super::page::Room;
use super::{Api, fields, page, parse, render};
use crate::introspect;
use crate::ledger::{Ledger, ObjectSource, Objects, SUPPLY_MIST, StoredObject, coin};

/// Objects of an owner come by type, coins of one type by falling balance, then by identifier.
type OwnedKey = (String, Reverse<u64>, Address);

#[tonic::async_trait]
impl StateService for Api {
    async fn list_owned_objects(
        &self,
        request: Request<proto::ListOwnedObjectsRequest>,
    ) -> Result<Response<proto::ListOwnedObjectsResponse>, Status> {
        let request = request.into_inner();
        let default = "object_id,version,object_type";
        let mask = fields::mask::<proto::Object>(request.read_mask, default)?;
        let owner = parse::address("owner", request.owner.as_deref())?;
        let wanted = request.object_type.as_deref().map(TypeFilter::parse).transpose()?;
        let scope = ("owned", owner, &request.object_type);
        let after: Option<(String, u64, Address)> = page::parse(request.page_token.as_deref(), &scope)?;
        let after: Option<OwnedKey> = after.map(|(tag, balance, id)| (tag, Reverse(balance), id));
        let size = page::size(request.page_size);

        let mut response = proto::ListOwnedObjectsResponse::default();
        {
            let ledger = self.node.ledger();
            let mut found: Vec<(OwnedKey, &StoredObject)> = ledger
                .objects()
                .owned_by(&owner)
                .filter(|stored| wanted.as_ref().is_none_or(|wanted| wanted.admits(stored)))
                .map(|stored| (owned_key(stored), &**stored))
                .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
                .collect();
            found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            let mut room = Room::of_page();
            for (_, stored) in found.iter().take(size) {
                let object = render::object(stored, &mask);
                if !room.admit(&object) {
                    break;
                }
                response.objects.push(object);
            }
            let shown = response.objects.len();
            if shown < found.len()
                && let Some(((tag, Reverse(balance), id), _)) = shown.checked_sub(1).map(|last| &found[last])
            {
                response.next_page_token = Some(page::token(&(tag, balance, id), &scope)?);
            }
        }
        Ok(self.respond(response))
    }

    async fn list_dynamic_fields(
        &self,
        request: Request<proto::ListDynamicFieldsRequest>,
    ) -> Result<Response<proto::ListDynamicFieldsResponse>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::DynamicField>(request.read_mask, "parent,field_id")?;
        let parent = parse::address("parent", request.parent.as_deref())?;
        let scope = ("fields", parent);
        let after = page::parse(request.page_token.as_deref(), &scope)?;
        let size = page::size(request.page_size);

        let mut response = proto::ListDynamicFieldsResponse::default();
        {
            let ledger = self.node.ledger();
            let mut children = ledger.objects().children_of(&parent, after).peekable();
            let (mut last, mut room) = (None, Room::of_page());
            while let Some(stored) = children.peek().filter(|_| response.dynamic_fields.len() < size) {
                if let Some(field) = self.dynamic_field(&ledger, parent, stored, &mask) {
                    if !room.admit(&field) {
                        break;
                    }
                    response.dynamic_fields.push(field);
                }
                last = Some(stored.object().object_id());
                children.next();
            }
            if let (Some(last), true) = (last, children.peek().is_some()) {
                response.next_page_token = Some(page::token(&last, &scope)?);
            }
        }
        Ok(self.respond(response))
    }

    async fn get_coin_info(
        &self,
        request: Request<proto::GetCoinInfoRequest>,
    ) -> Result<Response<proto::GetCoinInfoResponse>, Status> {
        let request = request.into_inner();
        let text = request.coin_type.as_deref().unwrap_or_default();
        let tag = parse::struct_tag("coin_type", text)?;
        let mut response = proto::GetCoinInfoResponse::default();
        response.coin_type = Some(tag.to_string());
        if tag == StructTag::sui() {
            describe_sui(&mut response);
        } else {
            let ledger = self.node.ledger();
            let metadata = generic("CoinMetadata", &tag);
            let treasury = generic("TreasuryCap", &tag);
            for stored in ledger.objects().iter() {
                let Some(structure) = stored.object().as_struct() else { continue };
                if Some(structure.object_type()) == metadata.as_ref() {
                    response.metadata = read_metadata(structure);
                } else if Some(structure.object_type()) == treasury.as_ref() {
                    response.treasury = read_treasury(structure);
                }
            }
            if response.metadata.is_none() && response.treasury.is_none() {
                return Err(Status::not_found(format!("there is no coin {tag}")));
            }
        }
        Ok(self.respond(response))
    }

    async fn get_balance(
        &self,
        request: Request<proto::GetBalanceRequest>,
    ) -> Result<Response<proto::GetBalanceResponse>, Status> {
        let request = request.into_inner();
        let owner = parse::address("owner", request.owner.as_deref())?;
        let text = request.coin_type.as_deref().unwrap_or_default();
        let tag = parse::type_tag("coin_type", text)?;
        let total = balances(self.node.ledger().objects(), &owner).remove(&tag).unwrap_or(0);
        let mut response = proto::GetBalanceResponse::default();
        response.balance = Some(balance(&tag, total));
        Ok(self.respond(response))
    }

    async fn list_balances(
        &self,
        request: Request<proto::ListBalancesRequest>,
    ) -> Result<Response<proto::ListBalancesResponse>, Status> {
        let request = request.into_inner();
        let owner = parse::address("owner", request.owner.as_deref())?;
        let scope = ("balances", owner);
        let after: Option<TypeTag> = page::parse(request.page_token.as_deref(), &scope)?;
        let size = page::size(request.page_size);
        let all = balances(self.node.ledger().objects(), &owner);
        let mut left = all.into_iter().filter(|(tag, _)| after.as_ref().is_none_or(|after| tag > after));
        let mut response = proto::ListBalancesResponse::default();
        let page: Vec<_> = left.by_ref().take(size).collect();
        response.balances = page.iter().map(|(tag, total)| balance(tag, *total)).collect();
        if let (Some((tag, _)), true) = (page.last(), left.next().is_some()) {
            response.next_page_token = Some(page::token(tag, &scope)?);
        }
        Ok(self.respond(response))
    }
}

impl Api {
    fn dynamic_field(
        &self,
        ledger: &Ledger,
        parent: Address,
        stored: &StoredObject,
        mask: &FieldMaskTree,
    ) -> Option<proto::DynamicField> {
        let structure = stored.object().as_struct()?;
        let parts = FieldParts::of(structure, |tag, bytes| {
            introspect::value_length(self.node.vm(), ledger, tag, bytes)
        });
        let mut field = proto::DynamicField::default();
        if mask.contains("parent") {
            field.parent = Some(parent.to_string());
        }
        if mask.contains("field_id") {
            field.field_id = Some(stored.object().object_id().to_string());
        }
        if let Some(mask) = mask.subtree("field_object") {
            field.field_object = Some(render::object(stored, &mask));
        }
        let Some(parts) = parts else { return Some(field) };
        let child = parts.child.and_then(|id| ledger.objects().live(&id));
        if mask.contains("kind") {
            let kind = if parts.child.is_some() { DynamicFieldKind::Object } else { DynamicFieldKind::Field };
            field.kind = Some(kind.into());
        }
        if mask.contains("name") {
            field.name = Some(bcs_of(&parts.name_type, parts.name));
        }
        if mask.contains("value") {
            field.value = Some(bcs_of(&parts.value_type, parts.value));
        }
        if mask.contains("value_type") {
            field.value_type = match (&child, parts.child) {
                (Some(child), _) => Some(render::type_name(child)),
                (None, Some(_)) => None,
                (None, None) => Some(parts.value_type.to_string()),
            };
        }
        if mask.contains("child_id") {
            field.child_id = parts.child.map(|id| id.to_string());
        }
        if let (Some(mask), Some(child)) = (mask.subtree("child_object"), &child) {
            field.child_object = Some(render::object(child, &mask));
        }
        Some(field)
    }
}

/// A `0x2::dynamic_field::Field<Name, Value>` taken apart.
struct FieldParts<'a> {
    name_type: TypeTag,
    name: &'a [u8],
    value_type: TypeTag,
    value: &'a [u8],
    /// The object that a dynamic object field leads to.
    child: Option<Address>,
}

impl<'a> FieldParts<'a> {
    fn of(structure: &'a MoveStruct, length: impl FnOnce(&TypeTag, &[u8]) -> Option<usize>) -> Option<Self> {
        let tag = structure.object_type();
        if !is_framework(tag, "dynamic_field", "Field") {
            return None;
        }
        let [name_type, value_type] = tag.type_params() else { return None };
        let rest = structure.contents().get(Address::LENGTH..)?;
        let (name, value) = rest.split_at_checked(length(name_type, rest)?)?;
        let (name_type, child) = match name_type {
            TypeTag::Struct(wrapper) if is_framework(wrapper, "dynamic_object_field", "Wrapper") => {
                let [inner] = wrapper.type_params() else { return None };
                (inner.clone(), Some(Address::from_bytes(value).ok()?))
            }
            other => (other.clone(), None),
        };
        Some(Self { name_type, name, value_type: value_type.clone(), value, child })
    }
}

/// A type with or without its parameters.
enum TypeFilter {
    Exact(StructTag),
    AnyParameters(StructTag),
    Package,
}

impl TypeFilter {
    fn parse(text: &str) -> Result<Self, Status> {
        if text == "package" {
            return Ok(Self::Package);
        }
        let tag = parse::struct_tag("object_type", text)?;
        let exact = !tag.type_params().is_empty();
        Ok(if exact { Self::Exact(tag) } else { Self::AnyParameters(tag) })
    }

    fn admits(&self, stored: &StoredObject) -> bool {
        let structure = stored.object().as_struct();
        match (self, structure.map(MoveStruct::object_type)) {
            (Self::Exact(wanted), Some(tag)) => wanted == tag,
            (Self::AnyParameters(wanted), Some(tag)) => {
                wanted.address() == tag.address()
                    && wanted.module() == tag.module()
                    && wanted.name() == tag.name()
            }
            (Self::Package, None) => true,
            _ => false,
        }
    }
}

fn owned_key(stored: &StoredObject) -> OwnedKey {
    let balance = coin::of_object(stored.object()).map_or(0, |(_, balance)| balance);
    (render::type_name(stored), Reverse(balance), stored.object().object_id())
}

fn balances(objects: &Objects, owner: &Address) -> BTreeMap<TypeTag, u64> {
    let mut balances: BTreeMap<TypeTag, u64> = BTreeMap::new();
    for stored in objects.owned_by(owner) {
        if let Some((tag, balance)) = coin::of_object(stored.object()) {
            let total = balances.entry(tag.clone()).or_default();
            *total = total.saturating_add(balance);
        }
    }
    balances
}

fn balance(tag: &TypeTag, total: u64) -> proto::Balance {
    let mut balance = proto::Balance::default();
    balance.coin_type = Some(tag.to_string());
    balance.balance = Some(total);
    balance.coin_balance = Some(total);
    balance.address_balance = Some(0);
    balance
}

fn bcs_of(tag: &TypeTag, value: &[u8]) -> proto::Bcs {
    let mut bcs = proto::Bcs::default();
    bcs.name = Some(tag.to_string());
    bcs.value = Some(value.to_vec().into());
    bcs
}

fn is_framework(tag: &StructTag, module: &str, name: &str) -> bool {
    *tag.address() == Address::TWO && tag.module().as_str() == module && tag.name().as_str() == name
}

fn generic(name: &str, coin: &StructTag) -> Option<StructTag> {
    let module = "coin".parse().ok()?;
    let name = name.parse().ok()?;
    Some(StructTag::new(Address::TWO, module, name, vec![TypeTag::Struct(Box::new(coin.clone()))]))
}

fn describe_sui(response: &mut proto::GetCoinInfoResponse) {
    let mut metadata = proto::CoinMetadata::default();
    metadata.decimals = Some(9);
    metadata.name = Some("Sui".to_owned());
    metadata.symbol = Some("SUI".to_owned());
    metadata.description = Some("Money of a development chain, without value".to_owned());
    let mut treasury = proto::CoinTreasury::default();
    treasury.total_supply = Some(SUPPLY_MIST);
    treasury.supply_state = Some(SupplyState::Fixed.into());
    response.metadata = Some(metadata);
    response.treasury = Some(treasury);
}

/// `CoinMetadata<T> { id, decimals, name, symbol, description, icon_url }`.
fn read_metadata(structure: &MoveStruct) -> Option<proto::CoinMetadata> {
    type Fields = (Address, u8, String, String, String, Option<String>);
    let (id, decimals, name, symbol, description, icon_url): Fields =
        bcs::from_bytes(structure.contents()).ok()?;
    let mut metadata = proto::CoinMetadata::default();
    metadata.id = Some(id.to_string());
    metadata.decimals = Some(decimals.into());
    metadata.name = Some(name);
    metadata.symbol = Some(symbol);
    metadata.description = Some(description);
    metadata.icon_url = icon_url;
    Some(metadata)
}

/// `TreasuryCap<T> { id, total_supply }`.
fn read_treasury(structure: &MoveStruct) -> Option<proto::CoinTreasury> {
    let (id, total_supply): (Address, u64) = bcs::from_bytes(structure.contents()).ok()?;
    let mut treasury = proto::CoinTreasury::default();
    treasury.id = Some(id.to_string());
    treasury.total_supply = Some(total_supply);
    Some(treasury)
}
