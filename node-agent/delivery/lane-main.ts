// The program of a lane's thread.
import { startLane } from "./lane-thread.ts";

startLane();
