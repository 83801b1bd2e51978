// Refers a child with the types that openapi-typescript makes and the client that belongs to them.
import createClient from "openapi-fetch";
import type { paths } from "./leadline.js";

declare const process: { argv: string[] };

const [site, reference] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: site });
const { data, error } = await client.POST("/referrals", {
  params: { header: { "Idempotency-Key": `typescript-${reference}` } },
  body: {
    child_id: "3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3",
    agency: "school",
    agency_id: "ladybrook-primary",
    agency_reference: reference,
    locality: "huntingdon",
    concerns: ["N4"],
  },
});
if (error) {
  throw new Error(error.detail);
}
console.log(data.referral_id, data.status, data.advice?.recommend);
