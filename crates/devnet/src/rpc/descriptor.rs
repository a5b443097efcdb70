//! Declarations of modules as clients see them.

use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::open_signature_body::Type;
use sui_sdk_types::{Address, Identifier};

use crate::ledger::Ledger;
use crate::ptb::ChainBacking;
use crate::vm::describe::{DatatypeDeclared, FunctionDeclared, TypeDeclared};
use crate::vm::{AbilitySet, Backing, Visibility};

/// Describes what one package declares.
pub(super) struct Describe<'a> {
    backing: ChainBacking<'a>,
    package: Address,
}

impl<'a> Describe<'a> {
    pub(super) fn new(ledger: &'a Ledger, package: Address) -> Self {
        Self { backing: ChainBacking::new(ledger.objects(), None), package }
    }

    pub(super) fn datatype(
        &self,
        module: &Identifier,
        found: &DatatypeDeclared,
    ) -> proto::DatatypeDescriptor {
        let defining = self.backing.type_origin(self.package, module, &found.name);
        let mut message = proto::DatatypeDescriptor::default();
        message.type_name = Some(format!("{defining}::{module}::{}", found.name));
        message.defining_id = Some(defining.to_string());
        message.module = Some(module.to_string());
        message.name = Some(found.name.to_string());
        message.abilities = abilities(found.abilities);
        message.type_parameters = found
            .params
            .iter()
            .map(|(constraints, phantom)| parameter(*constraints, Some(*phantom)))
            .collect();
        let kind = if found.is_enum {
            proto::datatype_descriptor::DatatypeKind::Enum
        } else {
            proto::datatype_descriptor::DatatypeKind::Struct
        };
        message.set_kind(kind);
        for (position, variant) in (0..).zip(&found.variants) {
            let fields = self.fields(&variant.fields);
            match &variant.name {
                None => message.fields = fields,
                Some(name) => {
                    let mut descriptor = proto::VariantDescriptor::default();
                    descriptor.name = Some(name.to_string());
                    descriptor.position = Some(position);
                    descriptor.fields = fields;
                    message.variants.push(descriptor);
                }
            }
        }
        message
    }

    pub(super) fn function(&self, found: &FunctionDeclared) -> proto::FunctionDescriptor {
        let mut message = proto::FunctionDescriptor::default();
        message.name = Some(found.name.to_string());
        message.set_visibility(match found.visibility {
            Visibility::Private => proto::function_descriptor::Visibility::Private,
            Visibility::Public => proto::function_descriptor::Visibility::Public,
            Visibility::Friend => proto::function_descriptor::Visibility::Friend,
        });
        message.is_entry = Some(found.is_entry);
        message.type_parameters =
            found.type_params.iter().map(|constraints| parameter(*constraints, None)).collect();
        message.parameters = found.params.iter().map(|ty| self.signature(ty)).collect();
        message.returns = found.returns.iter().map(|ty| self.signature(ty)).collect();
        message
    }

    fn fields(&self, fields: &[(Identifier, TypeDeclared)]) -> Vec<proto::FieldDescriptor> {
        let describe = |(position, (name, ty)): (u32, &(Identifier, TypeDeclared))| {
            let mut field = proto::FieldDescriptor::default();
            field.name = Some(name.to_string());
            field.position = Some(position);
            field.r#type = Some(self.body(ty));
            field
        };
        (0..).zip(fields).map(describe).collect()
    }

    fn signature(&self, ty: &TypeDeclared) -> proto::OpenSignature {
        let mut message = proto::OpenSignature::default();
        let inner = match ty {
            TypeDeclared::Reference(to) => {
                message.set_reference(proto::open_signature::Reference::Immutable);
                to
            }
            TypeDeclared::MutableReference(to) => {
                message.set_reference(proto::open_signature::Reference::Mutable);
                to
            }
            plain => plain,
        };
        message.body = Some(self.body(inner));
        message
    }

    fn body(&self, ty: &TypeDeclared) -> proto::OpenSignatureBody {
        let mut message = proto::OpenSignatureBody::default();
        let kind = match ty {
            TypeDeclared::Bool => Type::Bool,
            TypeDeclared::U8 => Type::U8,
            TypeDeclared::U16 => Type::U16,
            TypeDeclared::U32 => Type::U32,
            TypeDeclared::U64 => Type::U64,
            TypeDeclared::U128 => Type::U128,
            TypeDeclared::U256 => Type::U256,
            TypeDeclared::Address => Type::Address,
            TypeDeclared::Vector(of) => {
                message.type_parameter_instantiation = vec![self.body(of)];
                Type::Vector
            }
            TypeDeclared::Datatype(original, module, name, args) => {
                let storage = self.storage(*original);
                let defining = self.backing.type_origin(storage, module, name);
                message.type_name = Some(format!("{defining}::{module}::{name}"));
                message.type_parameter_instantiation = args.iter().map(|arg| self.body(arg)).collect();
                Type::Datatype
            }
            TypeDeclared::Param(index) => {
                message.type_parameter = Some(u32::from(*index));
                Type::Parameter
            }
            // Neither can be part of a type that a client sees.
            TypeDeclared::Signer | TypeDeclared::Reference(_) | TypeDeclared::MutableReference(_) => {
                Type::Unknown
            }
        };
        message.set_type(kind);
        message
    }

    /// The package that this one uses for the one with this original identifier.
    fn storage(&self, original: Address) -> Address {
        self.backing.linked(self.package, original)
    }
}

fn parameter(constraints: AbilitySet, phantom: Option<bool>) -> proto::TypeParameter {
    let mut message = proto::TypeParameter::default();
    message.constraints = abilities(constraints);
    message.is_phantom = phantom;
    message
}

fn abilities(set: AbilitySet) -> Vec<i32> {
    use proto::Ability::{Copy, Drop, Key, Store};
    let all = [(set.copy, Copy), (set.drop, Drop), (set.store, Store), (set.key, Key)];
    all.into_iter().filter(|(has, _)| *has).map(|(_, ability)| ability.into()).collect()
}
