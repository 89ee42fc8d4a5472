import test from 'ava';
import { engineContract } from '../contracts/engine.js';
import { inTemporaryDirectory } from './directories.js';
import { onEachEngine } from './engines.js';

onEachEngine(test, (engine) => engineContract(test, { engine, inTemporaryDirectory }));
