# ruff: noqa: E501 - one line a template
"""What customers of many made-up businesses write about goods. Form: see `kdsl.demo.miniature.wishes`."""

GOODS = """
# delivery late; shipment delayed; overdue parcel; delivery date :: a shipment has not come yet, or the customer asks when it will
Two weeks gone and my {thing} is nowhere, [could you trace it?|what's the hold-up?]
[Expected|Hoped for] the {thing} on {day}, the doorbell stayed silent.
The courier page [hasn't updated|shows the same line] for days now.
What [time|date] should I expect the [shipment|truck|drop-off]?
Still no sign of the {thing} I bought {ago}.
[Has|Did] my {thing} [left your depot|been dispatched|been handed to the carrier]?
I keep looking out of the window, the van never comes.
The ETA keeps [slipping|moving back], [where are my goods right now|is it stuck somewhere]?
My shipment {code} seems to be [lost in transit|travelling in circles].
Could you give me the consignment number so I can follow the {thing}?
How much longer until the {thing} [reaches me|shows up]?
My delivery was scheduled for {day} and nobody turned up.
# delivered but not received; parcel not found; stolen parcel :: the courier claims to have delivered, yet nothing is there
Marked as handed over, but my [porch|hallway|mailbox] is empty.
Your driver says he gave it to someone, who? Not me.
The proof of delivery shows a door that isn't mine.
Somebody may have stolen the {thing} from the step.
According to the notification it was dropped off {ago}, I found nothing.
Signed for by a name I have never heard of.
# cancellation; stop an order; withdraw purchase; annul :: wants a purchase called off before it is sent
Kindly annul purchase {code}, I have [reconsidered|second thoughts].
Get rid of that order, [I pressed the wrong button|it was never meant to happen].
[I'd prefer not to receive|I have no use for] the {thing}, can the sale be voided?
Halt the dispatch of the {thing} please.
Can you [reverse|scrap|terminate] purchase {code} before packing?
Bought the same {thing} two times by error, delete the second.
My plans changed, do not [post|dispatch] the {thing}.
I would like to withdraw from the contract for the {thing}.
Cancelling {code}, please confirm nothing will be posted.
I don't need that {thing} anymore, cancel.
It takes you too long, abort the whole thing.
My daughter ordered a {thing} without asking, please stop this.
# return goods; send back; exchange size; take back :: has the goods and wants to return or exchange them
The {thing} doesn't suit me, what's the procedure for giving it back?
It's [too tight|too long|too loose|not my style], I want to swap for {size}.
I would like to [ship back|hand back|return] the {thing} unopened.
Which [post office|shop|locker] takes my return parcel?
Please mail me a prepaid sticker for the return.
How many days do I have to bring the {thing} back?
Do I pay the postage when I return a {thing}?
The {thing} looks different on me, can I trade it for {colour}?
Return request for {code}: nothing wrong with it, just not needed.
Where do I print the form for sending goods back?
The box is open but unused, would you take the {thing} back?
Someone should collect the {thing} that I'm returning.
# refund missing; reimbursement; money not returned; repayment :: goods went back or were cancelled and the money is awaited
My reimbursement of {amount} hasn't shown up on the account.
You received the {thing} back {ago}, where is the money?
How long does the repayment take to reach my bank?
I got only part of what I paid back, {amount} is missing.
The credit note was promised {day}, still nothing.
Has my refund been [issued|booked|processed] yet?
It was called off {ago} but I haven't been paid back.
Which account did you send the reimbursement to?
Waiting to be repaid for the returned {thing}.
The refund says completed, my balance says otherwise.
When do I get my {amount} back?
# damaged goods; arrived broken; faulty item; defect :: what came is broken, stained or does not work
The {thing} arrived [in pieces|smashed|with a dent|scratched all over].
Opened the box and the {thing} is [shattered|ripped|leaking|mouldy].
It won't switch on, straight out of the carton.
The packaging was crushed and so is the {thing}.
There's a hole in the {thing} I unpacked today.
A [wheel|handle|zip|hinge] came off the first time I used it.
My new {thing} makes a burning smell, it's defective.
[See|Look at] the photo, the glass has splintered.
Somebody clearly wore this {thing} before, it's dirty.
Quality is awful, the seam burst at once.
# wrong item; mix-up; not what was ordered :: another article, colour or size than ordered was sent
I got a {thing} that I never asked for.
The label says {colour} but inside it's a different one.
You mixed up my box with another customer's.
Ordered {size}, the tag reads something else.
This is not the {thing} from the picture at all.
Instead of the {thing} there was a random gadget inside.
# missing part; incomplete; not complete :: a part or article was missing in the box
The [screws|cable|manual|lid] was not in the carton.
Only half of the set was inside.
One of the three {thing}s is absent from the parcel.
The box was [light|half empty], the charger isn't included.
I counted twice, a piece of the {thing} isn't there.
# change address; delivery details; redirect :: wants the address or the day of a delivery altered
We relocated, kindly update the destination of {code}.
The postcode I gave is outdated, can you fix it before dispatch?
Please redirect the {thing} to my workplace.
There's a typo in the street, I live at number {number}.
Nobody is in on {day}, move the drop-off to another date.
Can the courier take it to a parcel shop instead of the flat?
My surname is spelled badly on the shipping details, correct it.
Let it go to my parents rather than to me.
# amend order; edit basket; modify an order :: wants to keep an order but alter what is in it before it is sent
Would you swap the {thing} to {colour} prior to sending?
Increase the quantity to {number} please.
Could I throw in a {thing} with the same order?
I selected {size}, [I meant|better make it] a bigger one, not shipped yet.
Strike the {thing} from my order, everything else stays.
Upgrade my order to overnight shipping.
Please wrap it as a present, I missed that option.
Edit {code}: other colour, same model.
# payment declined; checkout error; cannot pay :: paying does not go through
The terminal refuses my [visa|mastercard|debit card].
Each attempt to pay ends in failure {number}.
The payment window [spins forever|crashes|stays white].
My purchase can't be completed, the bank rejects the transaction.
I never receive the pin that I need to approve the payment.
Why is my credit card not accepted on your site?
Clicking the pay button has no effect.
Transaction refused, though there is enough on the account.
# charged twice; unknown charge; wrong amount billed :: the amount taken is wrong, doubled or unknown
{amount} was debited two times for one purchase.
There's a withdrawal by your firm that I can't explain.
You billed me more than the basket said.
My statement lists {amount} from {day}, what is it for?
The money was debited yet the purchase shows as open.
I've been overcharged by {amount}.
# ways to pay; payment methods; instalments :: asks how one can pay
Could I pay later or in parts?
Is [paypal|cash|a bank wire|apple pay] possible?
Do you take foreign cards?
How do I swap the credit card that's stored in my profile?
Can the invoice be settled by transfer?
# promo code; coupon rejected; voucher trouble; discount :: a discount code does not work or is missing
The promotional code is refused, it says not valid.
My newsletter discount never arrived.
The price didn't drop after I typed the voucher.
Is the {number} percent deal good for a {thing} too?
How can I redeem a voucher at the till?
Your banner promised a rebate, the basket ignores it.
Can two vouchers be combined?
My promotional code ran out yesterday, could you extend it?
Why don't I get the student discount?
When does the next clearance begin?
# loyalty points; bonus account; rewards; member benefits :: about points, levels and benefits of members
My bonus points vanished from the account.
How many points is a {thing} worth?
The points for purchase {code} were never credited.
What does gold status give me?
Can I turn rewards into cash?
# gift card; present card balance :: buying, using or checking a gift card
The gift card shows zero, nobody has used it.
Can I buy a gift card for {amount}?
I scratched the code off by mistake and can't read my gift card.
How long is a gift card good for?
# price match; price complaint :: it is cheaper elsewhere, or the price changed
The {thing} is {amount} at your competitor, will you match?
It got cheaper a day after I bought it, I want the difference.
Why did the {thing} become so expensive?
# stock question; availability; sold out :: asks whether an article is or will be there
Will the {colour} {thing} be available again?
Is the {thing} in stock in {size}?
The {thing} is sold out, put me on a waiting list.
Do you carry {thing}s in your branch too?
# product question; features; advice :: asks about an article before buying
What material is the {thing} made from?
Can the {thing} go in the washing machine?
How heavy is the {thing}?
Which {thing} suits a beginner?
Is this {thing} fit for outdoors?
Does the {thing} come with batteries?
# size advice; fitting; measurements :: asks which size to take
I'm between {size} and the next one, which should I take?
Do your {thing}s run small?
What is the waist measurement of {size}?
# invoice request; receipt; billing document :: wants a bill or another document
I need a VAT invoice for {code}.
Please resend the receipt, my accountant asks for it.
The bill must carry my company's name.
Where can I download the proof of purchase?
# warranty repair; guarantee claim; fix a device :: something broke after long use and should be repaired
After a year the {thing} stopped working, is it under guarantee?
How do I send the {thing} in for repair?
Are spare parts for the {thing} sold?
The repair takes forever, is my {thing} fixed?
"""
