// The standard reflection service: lets tools such as `buf curl` ask for the schema of what they call.
import { type DescFile, type DescService, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type {
  ServerReflection,
  ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "../../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes } from "../../proto/rpc/status.ts";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

export function reflectionService(services: readonly DescService[]): Handlers<typeof ServerReflection> {
  const files = withDependencies(services.map(({ file }) => file));
  return {
    serverReflectionInfo: async function* (requests) {
      for await (const request of requests)
        yield { validHost: request.host, originalRequest: request, messageResponse: answer(request) };
    },
  };

  function answer({ messageRequest: wanted }: ServerReflectionRequest): Answer {
    switch (wanted.case) {
      case "listServices": {
        const service = services.map(({ typeName }) => ({ name: typeName }));
        return { case: "listServicesResponse", value: { service } };
      }
      case "fileByFilename":
        return fileAnswer(wanted.value, files.get(wanted.value));
      case "fileContainingSymbol":
        return fileAnswer(wanted.value, [...files.values()].find(declares(wanted.value)));
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = wanted.value;
        const extends_ = (file: DescFile) =>
          file.extensions.some(
            ({ extendee, number }) => extendee.typeName === containingType && number === extensionNumber,
          );
        return fileAnswer(`${containingType} ${extensionNumber}`, [...files.values()].find(extends_));
      }
      case "allExtensionNumbersOfType": {
        const extensions = [...files.values()].flatMap((file) => file.extensions);
        const own = extensions.filter(({ extendee }) => extendee.typeName === wanted.value);
        const extensionNumber = own.map(({ number }) => number);
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: wanted.value, extensionNumber },
        };
      }
      default:
        return {
          case: "errorResponse",
          value: { errorCode: codes.INVALID_ARGUMENT, errorMessage: "ask for something" },
        };
    }
  }
}

/** All files that are needed to understand these, by name. */
function withDependencies(roots: readonly DescFile[]): Map<string, DescFile> {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    if (files.has(nameOf(file))) return;
    files.set(nameOf(file), file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const root of roots) add(root);
  return files;
}

const nameOf = (file: DescFile) => file.proto.name;

function fileAnswer(wanted: string, file: DescFile | undefined): Answer {
  if (!file) {
    const errorMessage = `there is no ${wanted.slice(0, 200)}`;
    return { case: "errorResponse", value: { errorCode: codes.NOT_FOUND, errorMessage } };
  }
  const needed = [...withDependencies([file]).values()];
  const fileDescriptorProto = needed.map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

/** Whether a file declares a service, method, message, field, enum, value or extension of that full name. */
function declares(symbol: string): (file: DescFile) => boolean {
  const dot = symbol.lastIndexOf(".");
  const [owner, member] = [symbol.slice(0, dot), symbol.slice(dot + 1)];
  return (file) =>
    file.services.some(
      ({ typeName, methods }) =>
        typeName === symbol || (typeName === owner && methods.some(({ name }) => name === member)),
    ) || typesOf(file).includes(symbol);
}

function typesOf({ messages, enums, extensions }: DescFile): string[] {
  const nested = (message: DescFile["messages"][number]): string[] => [
    message.typeName,
    ...message.fields.map(({ name }) => `${message.typeName}.${name}`),
    ...message.nestedMessages.flatMap(nested),
    ...message.nestedEnums.map(({ typeName }) => typeName),
    ...message.nestedExtensions.map(({ typeName }) => typeName),
  ];
  return [
    ...messages.flatMap(nested),
    ...enums.map(({ typeName }) => typeName),
    ...extensions.map(({ typeName }) => typeName),
  ];
}
