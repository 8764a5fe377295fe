// What the proto files say, with their comments: read from what `buf build` makes, which keeps them.
import { fromBinary } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";

export type Documented = { name: string; comment: string };
export type Rpc = Documented & { request: string; response: string; streams: string };
export type Service = Documented & { rpcs: Rpc[] };
export type Field = Documented & { type: string; oneof: string };
export type Message = Documented & { fields: Field[] };
export type Enum = Documented & { values: Documented[] };
export type ProtoFile = Documented & { services: Service[]; messages: Message[]; enums: Enum[] };

// Numbers of fields in descriptor.proto: the paths to comments are made of them.
const path = {
  message: 4,
  enum: 5,
  service: 6,
  method: 2,
  field: 2,
  nestedMessage: 3,
  nestedEnum: 4,
  value: 2,
  syntax: 12,
};

/** The project's own files, in order of their names. */
export function readProtoFiles(image: Uint8Array): ProtoFile[] {
  const { file } = fromBinary(FileDescriptorSetSchema, image);
  return file.filter((one) => one.package === "muster.v1").map(readFile);
}

function readFile(file: FileDescriptorProto): ProtoFile {
  const comments = new Map<string, string>();
  for (const { path: place, leadingComments, leadingDetachedComments } of file.sourceCodeInfo?.location ??
    []) {
    const text =
      place.join() === `${path.syntax}` ? [...leadingDetachedComments, leadingComments] : [leadingComments];
    comments.set(place.join(), tidy(text.join("\n")));
  }
  const comment = (...place: number[]) => comments.get(place.join()) ?? "";
  const services = file.service.map((service, i) => ({
    name: service.name,
    comment: comment(path.service, i),
    rpcs: service.method.map((method, j) => ({
      name: method.name,
      comment: comment(path.service, i, path.method, j),
      request: shortName(method.inputType),
      response: shortName(method.outputType),
      streams: method.clientStreaming ? "both ways" : method.serverStreaming ? "answers" : "",
    })),
  }));
  const messages: Message[] = [];
  const enums: Enum[] = [];
  const addEnum = (type: EnumDescriptorProto, name: string, ...place: number[]) => {
    const values = type.value.map((value, k) => ({
      name: value.name,
      comment: comment(...place, path.value, k),
    }));
    enums.push({ name, comment: comment(...place), values });
  };
  const addMessage = (type: DescriptorProto, name: string, ...place: number[]) => {
    const fields = type.field.map((field, k) => ({
      name: field.name,
      comment: comment(...place, path.field, k),
      type: typeOf(field, type),
      oneof: field.proto3Optional ? "" : (type.oneofDecl[field.oneofIndex]?.name ?? ""),
    }));
    messages.push({
      name,
      comment: comment(...place),
      fields: fields.map((field, k) => outsideOneof(field, type, k)),
    });
    type.nestedType.forEach((nested, k) => {
      if (!nested.options?.mapEntry)
        addMessage(nested, `${name}.${nested.name}`, ...place, path.nestedMessage, k);
    });
    type.enumType.forEach((nested, k) => {
      addEnum(nested, `${name}.${nested.name}`, ...place, path.nestedEnum, k);
    });
  };
  file.messageType.forEach((type, i) => {
    addMessage(type, type.name, path.message, i);
  });
  file.enumType.forEach((type, i) => {
    addEnum(type, type.name, path.enum, i);
  });
  return { name: file.name, comment: comment(path.syntax), services, messages, enums };
}

/** A field that is in no oneof has the index 0 of the first one too; only its presence tells. */
function outsideOneof(field: Field, type: DescriptorProto, k: number): Field {
  const own = type.field[k];
  return own && Object.hasOwn(own, "oneofIndex") ? field : { ...field, oneof: "" };
}

const tidy = (comment: string) => comment.trim().replace(/\n ?/g, "\n");

const shortName = (typeName: string) =>
  typeName.replace(/^\.muster\.v1\./, "").replace(/^\.google\.protobuf\./, "");

function typeOf(field: FieldDescriptorProto, owner: DescriptorProto): string {
  const entry = owner.nestedType.find(
    ({ name, options }) => options?.mapEntry && field.typeName.endsWith(`.${owner.name}.${name}`),
  );
  if (entry) {
    const [key, value] = entry.field;
    return key && value ? `map of ${typeOf(key, entry)} to ${typeOf(value, entry)}` : "map";
  }
  const name = field.typeName ? shortName(field.typeName) : (Type[field.type] ?? "").toLowerCase();
  return field.label === Label.REPEATED ? `list of ${name}` : name;
}
