// Draws a frame with Ink: header, title, the visible lines, footer or prompt. The only place that hears keys.
import { Box, Text, useInput, usePaste, useWindowSize } from "ink";
import { useEffect, useState, useSyncExternalStore } from "react";
import { type Frame, smallest } from "./frame.ts";
import { keysOf } from "./keymap.ts";
import type { Line } from "./screens/lines.ts";
import type { Session } from "./session.ts";
import type { Store } from "./store.ts";
import { type Glyphs, paint } from "./theme.ts";

export type AppProps = { session: Session; store: Store; glyphs: Glyphs };

export function App({ session, store, glyphs }: AppProps) {
  const size = useWindowSize();
  useSyncExternalStore(store.subscribe, store.getSnapshot);
  useSyncExternalStore(session.subscribe, session.getState);
  useSecondHand();
  useInput((input, key) => session.press(keysOf(input, key)));
  usePaste((text) => session.paste(text));
  if (size.columns < smallest.columns || size.rows < smallest.rows) {
    const need = `${smallest.columns}×${smallest.rows}`;
    return (
      <Text wrap="truncate-end">{`terminal too small: ${size.columns}×${size.rows}, needs ${need}; q quits`}</Text>
    );
  }
  const frame = session.frame(size);
  const visible = frame.lines.slice(frame.from, frame.from + frame.height);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows}>
      <Row line={frame.header} />
      <Row line={frame.title} />
      {frame.head.map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows of a terminal have no other identity
        <Row key={index} line={line} mark="  " />
      ))}
      <Box flexDirection="column" flexGrow={1}>
        {visible.map((line, index) => {
          const chosen = frame.from + index === frame.at;
          // biome-ignore lint/suspicious/noArrayIndexKey: rows of a terminal have no other identity
          return <Row key={index} line={line} mark={chosen ? `${glyphs.cursor} ` : "  "} chosen={chosen} />;
        })}
      </Box>
      <Bottom frame={frame} />
    </Box>
  );
}

function Row({ line, mark = "", chosen = false }: { line: Line; mark?: string; chosen?: boolean }) {
  return (
    <Text wrap="truncate-end">
      {/* An empty Text takes no row. */}
      {line.segments.length ? mark : mark || " "}
      {line.segments.map(({ text, tone, bold }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: segments of a line have no other identity
        <Text key={index} bold={bold || chosen} {...paint(tone)}>
          {text}
        </Text>
      ))}
    </Text>
  );
}

/** A question takes the place of the keys. Its end is shown if it does not fit. */
function Bottom({ frame }: { frame: Frame }) {
  if (!frame.prompt) return <Row line={frame.footer} />;
  return (
    <Text wrap="truncate-start">
      <Text bold color="yellow">{` ${frame.prompt.label}`}</Text>
      {frame.prompt.text}
      <Text inverse> </Text>
    </Text>
  );
}

/** Ages on the screen go on without news. */
function useSecondHand(): void {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, []);
}
